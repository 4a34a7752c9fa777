#!/usr/bin/env node
// The console of a proxy that runs, in a real browser: what curl sends through the proxy is there, is found, and is
// shown; nothing that was sent runs. CONSOLE, TOKEN, PROXY and ORIGIN say where; PICTURE is where a picture goes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const { CONSOLE, TOKEN, PROXY, ORIGIN, PICTURE } = process.env;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const curl = (url, ...more) => execFileSync("curl", ["-s", "-o", "/dev/null", "-x", PROXY, ...more, url]);
const rows = (page) => page.locator(".row.flow");
const wrong = [];
try {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" })).newPage();
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["blob:", "data:"].includes(url.protocol) && url.host !== new URL(CONSOLE).host) wrong.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() => {
    globalThis.__violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(`${CONSOLE}/?token=${TOKEN}`);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  assert.ok(!page.url().includes(TOKEN), "the token stays in the address bar");

  // Live: the page is open before anything passes.
  for (let i = 0; i < 5; i++) curl(`${ORIGIN}/bytes/${1000 * (i + 1)}`);
  curl(`${ORIGIN}/status/503`);
  curl("http://denied.test/<script>alert(1)</script>", "--globoff");
  await rows(page).filter({ hasText: "denied.test" }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".row.flow").length === 7);

  // Filters, as they are typed and by the chips.
  const box = page.locator("#filter");
  await box.fill("status:>=500");
  await box.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".row.flow").length === 1);
  assert.match(await rows(page).first().innerText(), /503/);
  await box.fill("is:refused");
  await box.press("Enter");
  await rows(page).filter({ hasText: "denied.test" }).waitFor();

  // A detail says why it was refused.
  await rows(page).first().click();
  await page.getByText("denied-by-rule").first().waitFor();
  if (PICTURE) await page.screenshot({ path: PICTURE });

  // Each view of it opens.
  for (const view of ["overview", "policy", "certificates"]) {
    await page.evaluate((to) => (location.hash = to), view);
    await page.waitForTimeout(300);
    await page.locator("main, [role=main]").first().waitFor();
    if (PICTURE) await page.screenshot({ path: PICTURE.replace(/\.png$/, `-${view}.png`) });
  }
  assert.deepEqual(await page.evaluate(() => globalThis.__violations), [], "the content security policy was violated");
  assert.deepEqual(wrong, []);
  console.log("all is well");
} finally {
  await browser.close();
}
