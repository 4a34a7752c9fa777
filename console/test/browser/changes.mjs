#!/usr/bin/env node
// Changing traffic of a proxy that runs, from the page: a rule, a breakpoint with an edit, and a replay, with curl on
// the other side. CONSOLE, TOKEN, PROXY and ORIGIN say where; PICTURES is a directory for pictures.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const { CONSOLE, TOKEN, PROXY, ORIGIN, PICTURES } = process.env;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const curl = async (path, ...more) => (await promisify(execFile)("curl", ["-s", "-i", "--max-time", "50", "-x", PROXY, ...more, `${ORIGIN}${path}`])).stdout;
const wrong = [];
try {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" })).newPage();
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  await page.addInitScript(() => {
    globalThis.__violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  const shot = async (name) => PICTURES && page.screenshot({ path: join(PICTURES, `${name}.png`) });
  await page.goto(`${CONSOLE}/?token=${TOKEN}`);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  await page.keyboard.press("5");
  await page.getByRole("heading", { name: "Changes", level: 1 }).waitFor();

  // A rule, by the keyboard.
  await page.keyboard.press("n");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).first().fill("debug header");
  await dialog.getByLabel("Filter").fill("path:/echo*");
  await dialog.getByLabel("Name", { exact: true }).nth(1).fill("X-Debug");
  await dialog.getByLabel("Value").fill("<script>alert(1)</script>");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("set X-Debug: <script>alert(1)</script> in the request").waitFor();
  assert.match(await curl("/echo?rule"), /alert\(1\)/);

  // A breakpoint, and an edit while curl waits.
  await page.keyboard.press("b");
  await page.getByRole("dialog").getByLabel("Filter").fill("path:/echo* method:POST");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByText("path:/echo* method:POST").waitFor();
  const waiting = curl("/echo?held", "-d", "as it was");
  await page.getByText("Held now").waitFor();
  await shot("changes");
  await page.keyboard.press("e");
  const editor = page.locator(".held-editor");
  await editor.locator("textarea").nth(1).waitFor();
  assert.equal(await editor.locator("textarea").nth(1).inputValue(), "as it was");
  await editor.getByLabel("URL").fill(`${ORIGIN}/echo?edited`);
  await editor.locator("textarea").nth(1).fill("as I wrote it");
  await shot("held");
  await editor.getByRole("button", { name: "Go on" }).click();
  const answer = await waiting;
  assert.match(answer, /as I wrote it/);
  assert.match(answer, /echo\?edited/);

  // The flow shows both.
  await page.locator(".detail [role=tab]", { hasText: "Request" }).click();
  await page.getByLabel("Sent to the origin").getByText("echo?edited").waitFor();
  await shot("changed");

  // Dropped.
  await page.keyboard.press("Escape");
  await page.keyboard.press("5");
  const dropped = curl("/echo?dropped", "-d", "x");
  await page.getByText("Held now").waitFor();
  await page.keyboard.press("X");
  assert.match(await dropped, /dropped-at-breakpoint/);

  // Sent again with another path, from the list of flows.
  await page.getByRole("button", { name: "Remove" }).first().click();
  await page.getByText("No breakpoints").waitFor();
  await page.evaluate(() => (location.hash = `#traffic?filter=${encodeURIComponent("path:*rule* !is:replay")}`));
  await page.waitForFunction(() => document.querySelectorAll(".row.flow").length === 1);
  await page.locator(".row.flow").first().click();
  await page.locator(".detail-url").waitFor();
  await page.keyboard.press("r");
  const replay = page.getByRole("dialog", { name: "Replay" });
  await replay.getByLabel("URL").fill(`${ORIGIN}/echo?again`);
  await shot("replay");
  await replay.getByRole("button", { name: "Send" }).click();
  await page.locator(".detail-url", { hasText: "echo?again" }).waitFor();
  await page.locator(".detail [role=tab]", { hasText: "Summary" }).click();
  await page.getByText("Replay of").waitFor();

  assert.deepEqual(await page.evaluate(() => globalThis.__violations), [], "the content security policy was violated");
  assert.deepEqual(wrong, []);
  console.log("all is well");
} finally {
  await browser.close();
}
