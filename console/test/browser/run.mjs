#!/usr/bin/env node
// The console in a real browser, against the mock: that it works, stays small in the DOM, runs nothing that was
// captured, asks nobody else, and breaks no rule of its own content security policy.
// `--pictures DIR` writes a picture of each view. CHROMIUM names the browser.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

import { start } from "../../dev/mock.mjs";

const { values: options } = parseArgs({ options: { pictures: { type: "string" }, only: { type: "string" } } });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const mock = await start({ tame: options.pictures !== undefined });
const tests = [];
const test = (name, act) => tests.push([name, act]);

/** A page that is logged in, and notes all that must not happen. */
async function open({ hash = "", login = true, at = mock, ...context } = {}) {
  const made = await browser.newContext({ viewport: options.pictures ? { width: 1280, height: 800 } : { width: 1440, height: 900 }, reducedMotion: "reduce", ...context });
  const page = await made.newPage();
  const wrong = [];
  page.on("console", (message) => {
    // A refused login, a certificate that is not trusted, and a stream that was cut are part of tests.
    if (message.type() === "error" && !/status of 40[019]|ERR_CERT|ERR_INCOMPLETE_CHUNKED/.test(message.text())) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.protocol !== "data:" && url.host !== new URL(at.address).host) wrong.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() => {
    globalThis.__violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  await page.goto(login ? `${at.address}/?token=${at.token}` : at.address);
  if (login) await page.getByRole("navigation", { name: "Views" }).waitFor();
  if (hash) await page.evaluate((to) => (location.hash = to), hash);
  const close = async () => {
    const violations = await page.evaluate(() => globalThis.__violations);
    const ran = await page.evaluate(() => globalThis.__pwned);
    await made.close();
    assert.deepEqual(violations, [], "the content security policy was violated");
    assert.equal(ran, undefined, "captured bytes ran");
    assert.deepEqual(wrong, []);
  };
  return { page, close };
}

const rows = (page) => page.locator(".row.flow");
const tally = async (page) => Number((await page.locator(".chips .tally b").first().innerText()).replace(/\D/g, ""));

test("shows the login page without a session, and lets in with the token", async () => {
  const { page, close } = await open({ login: false });
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /not the token/);
  await page.getByLabel("Token").fill(`${mock.address}/?token=${mock.token}`);
  await page.getByRole("button", { name: "Log in" }).click();
  await rows(page).first().waitFor();
  await close();
});

test("lets a password in, and hides from a read-only role what it may not do", async () => {
  const { page, close } = await open({ login: false });
  await page.getByLabel("Token").fill("read-only");
  await page.getByRole("button", { name: "Log in" }).click();
  await rows(page).first().click();
  assert.ok(await page.getByRole("button", { name: "Replay", exact: true }).isDisabled());
  await page.getByTitle("Log out (read-only)").click();
  await page.getByRole("button", { name: "Use a password" }).click();
  await page.getByLabel("Password").fill("heron");
  await page.getByRole("button", { name: "Log in" }).click();
  await rows(page).first().waitFor();
  await close();
});

test("keeps few rows in the DOM while 100,000 flows scroll by", async () => {
  const { page, close } = await open();
  await rows(page).first().waitFor();
  assert.ok((await tally(page)) >= 100_000);
  let most = 0;
  for (let i = 0; i <= 20; i++) {
    await page.evaluate((share) => {
      const box = document.getElementById("flows");
      box.scrollTop = share * (box.scrollHeight - box.clientHeight);
    }, i / 20);
    await page.waitForTimeout(30);
    most = Math.max(most, await page.locator(".rows .row").count());
  }
  assert.ok(most < 120, `${most} rows`);
  // At the end the oldest flow is there, loaded and not a placeholder.
  await page.locator('.row.flow[aria-rowindex]').last().waitFor();
  const last = Number(await rows(page).last().getAttribute("aria-rowindex"));
  assert.equal(last, Number(await page.locator("#flows").getAttribute("aria-rowcount")));
  await close();
});

test("draws scrolling without long pauses", async () => {
  const { page, close } = await open();
  await rows(page).first().waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const figures = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map((metric) => [metric.name, metric.value]));
  const before = await figures();
  const frames = await page.evaluate(async () => {
    const box = document.getElementById("flows");
    const times = [];
    let before = performance.now();
    for (let i = 0; i < 90; i++) {
      box.scrollTop += 400;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      times.push(performance.now() - before);
      before = performance.now();
    }
    return times.sort((a, b) => a - b);
  });
  const after = await figures();
  const each = (name) => ((1000 * (after[name] - before[name])) / 90).toFixed(2);
  console.log(`    a frame while scrolling: median ${frames[45].toFixed(1)} ms; script ${each("ScriptDuration")} ms, style ${each("RecalcStyleDuration")} ms, layout ${each("LayoutDuration")} ms`);
  assert.equal(frames.length, 90);
  await close();
});

test("filters at the server, by typing, chips and links, and says what does not read", async () => {
  const { page, close } = await open();
  await rows(page).first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("host:api.stripe.com status:>=500");
  await page.waitForFunction(() => location.hash.includes("stripe"));
  await page.waitForFunction(() => [...document.querySelectorAll(".row.flow .c-host")].length > 0 && [...document.querySelectorAll(".row.flow .c-host")].every((cell) => cell.textContent === "api.stripe.com"));
  assert.ok((await tally(page)) < 5000);
  await page.getByLabel("Filter flows").fill("status:>=abc");
  await page.locator("#filter-problem").waitFor();
  await page.getByLabel("Filter flows").fill("hosst:x");
  await page.waitForFunction(() => document.getElementById("filter-problem")?.textContent.includes("Did you mean"));
  await page.getByLabel("Filter flows").press("Escape");
  await page.getByRole("button", { name: "Refused" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll(".row.flow")].length > 0 && [...document.querySelectorAll(".row.flow")].every((row) => row.classList.contains("refused")));
  await page.goBack();
  await page.waitForFunction(() => !location.hash.includes("refused"));
  await page.getByLabel("Filter flows").fill("no-such-thing-anywhere");
  await page.getByText("No flow matches").waitFor();
  await close();
});

test("completes words and values", async () => {
  const { page, close } = await open();
  await rows(page).first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("tre");
  await page.keyboard.press("Tab");
  assert.equal(await page.getByLabel("Filter flows").inputValue(), "treatment:");
  await page.getByRole("option", { name: "tunnel" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await page.getByLabel("Filter flows").inputValue(), "treatment:tunnel");
  await close();
});

test("is driven by the keyboard alone", async () => {
  const { page, close } = await open();
  await rows(page).first().waitFor();
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Paused" }).waitFor();
  await page.keyboard.press("j");
  await page.locator(".detail").waitFor();
  const first = await page.locator(".row.current").getAttribute("id");
  await page.keyboard.press("j");
  await page.waitForFunction((id) => document.querySelector(".row.current")?.id !== id, first);
  await page.keyboard.press("k");
  await page.waitForFunction((id) => document.querySelector(".row.current")?.id === id, first);
  await page.keyboard.press("]");
  assert.equal(await page.locator(".detail [role=tab][aria-selected=true]").innerText(), "Request");
  await page.keyboard.press("G");
  await page.waitForFunction(() => Number(document.querySelector(".row.current")?.getAttribute("aria-rowindex")) > 100_000);
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await page.locator(".detail").waitFor({ state: "detached" });
  for (const [key, title] of [["2", "Overview"], ["3", "Policy"], ["4", "Certificates"], ["5", "Changes"], ["6", "Audit"]]) {
    await page.keyboard.press(key);
    await page.getByRole("heading", { name: title, level: 1 }).waitFor();
  }
  await close();
});

test("shows new flows live, holds them while paused, and makes up after a lost connection", async () => {
  const { page, close } = await open();
  await rows(page).first().waitFor();
  const top = () => rows(page).first().getAttribute("id");
  const before = await top();
  await page.waitForFunction((id) => document.querySelector(".row.flow")?.id !== id, before);
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Paused" }).waitFor();
  const paused = await top();
  await page.locator(".newflows").waitFor();
  assert.equal(await top(), paused);
  await page.keyboard.press("p");
  await page.waitForFunction((id) => document.querySelector(".row.flow")?.id !== id, paused);
  mock.cut();
  await page.locator(".live.waiting").waitFor();
  await page.locator(".live.live").waitFor();
  const again = await top();
  await page.waitForFunction((id) => document.querySelector(".row.flow")?.id !== id, again);
  mock.emit("lost", { why: "too-slow", count: 12, revision: "k3f9-1" });
  await page.getByText("12 events were lost").waitFor();
  await close();
});

test("shows every part of hostile flows as text", async () => {
  const { page, close } = await open({ hash: "#traffic?filter=status:418" });
  await page.waitForFunction(() => location.hash.includes("418") && document.querySelector(".row.flow .status")?.textContent === "418");
  await rows(page).first().click();
  for (const tab of ["Summary", "Request", "Response", "Messages", "TLS", "Policy"]) {
    await page.locator(".detail [role=tab]", { hasText: tab }).click();
    await page.waitForTimeout(150);
    for (const button of await page.locator('.detail .segments button, .detail .fold[aria-expanded="false"], .message-line').all()) if (await button.isVisible()) await button.click();
    await page.waitForTimeout(100);
    const body = await page.locator(".detail").innerText();
    assert.ok(body.includes("<script>") || tab === "Messages", `${tab} shows the text`);
  }
  assert.equal(await page.locator("#app script, #app iframe, #app img[src='x'], #app svg[onload]").count(), 0);
  for (const hash of ["#overview", "#policy", "#policy?tab=audit", "#policy?tab=suggest", "#certificates", "#changes", "#audit"]) {
    await page.evaluate((to) => (location.hash = to), hash);
    await page.waitForTimeout(400);
    assert.equal(await page.locator("#app script, #app img[src='x']").count(), 0, hash);
  }
  await close();
});

test("shows bodies as JSON tree, form, image, hex, gRPC, and messages of WebSockets", async () => {
  const { page, close } = await open();
  const show = async (filter, tab) => {
    await page.evaluate((to) => (location.hash = `#traffic?filter=${encodeURIComponent(to)}`), filter);
    await page.waitForFunction((to) => document.getElementById("filter")?.value === to && document.querySelector(".row.flow"), filter);
    await page.waitForTimeout(300);
    await rows(page).nth(3).click();
    await page.locator(".detail [role=tab]", { hasText: tab }).click();
  };
  await show("host:api.stripe.com status:200 method:GET path:orders", "Response");
  await page.getByRole("tree", { name: "JSON" }).waitFor();
  assert.match(await page.getByRole("tree").innerText(), /90071992547409910/);
  await page.getByRole("group", { name: "Show the body as" }).getByText("Hex").click();
  await page.locator(".hex pre").waitFor();
  await show("path:payment_intents method:POST is:complete", "Request");
  await page.getByText("automatic_payment_methods[enabled]").waitFor();
  await show("host:fonts.example.net type:image", "Response");
  await page.locator(".imagebody img").waitFor();
  assert.match(await page.locator(".imagebody img").getAttribute("src"), /^blob:/);
  await show("kind:grpc", "Messages");
  await page.locator(".message-line").first().click();
  await page.getByText('"ord_8731"').first().waitFor();
  await show("kind:websocket", "Messages");
  await page.getByText("trades.EURUSD").first().waitFor();
  await close();
});

test("replays with changes, compares, marks, copies, exports", async () => {
  const { page, close } = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await page.evaluate(() => (location.hash = "#traffic?filter=host%3Aapi.stripe.com%20is%3Acomplete%20method%3AGET"));
  await page.waitForFunction(() => document.querySelector(".row.flow .c-host")?.textContent === "api.stripe.com");
  await page.keyboard.press("p");
  await rows(page).first().click();
  await page.locator(".detail-url").waitFor();
  await page.keyboard.press("c");
  await page.getByText("Copied as curl").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl -X 'GET' 'https:\/\/api\.stripe\.com/);
  await page.keyboard.press("m");
  await page.locator(".row.current .mark.red").waitFor();
  await page.keyboard.press("d");
  await page.keyboard.press("j");
  await page.keyboard.press("d");
  await page.getByRole("dialog", { name: "Compare two flows" }).waitFor();
  await page.locator(".diff .dl.gone, .diff .dl.new").first().waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("r");
  await page.getByRole("dialog", { name: "Replay" }).waitFor();
  await page.getByLabel("Method").fill("PATCH");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("Sent").waitFor();
  await page.locator(".detail-title", { hasText: "PATCH" }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("e")]);
  assert.equal(download.suggestedFilename(), "egret.har");
  await close();
});

test("holds flows at breakpoints, edits them and lets them go", async () => {
  const { page, close } = await open({ hash: "#changes" });
  const id = mock.hold();
  await page.getByText("Held now").waitFor();
  await page.getByRole("button", { name: "Look, edit" }).click();
  await page.locator(".held-editor textarea").first().waitFor();
  await page.locator(".held-editor").getByLabel("URL").fill("https://api.stripe.com/v1/changed");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("Went on, changed").waitFor();
  assert.equal(mock.flows.find((flow) => flow.id === id).changed, true);
  // By the keyboard: the first that is held goes on, and the next is dropped.
  await page.keyboard.press("Escape");
  await page.keyboard.press("5");
  mock.hold();
  await page.getByText("Held now").waitFor();
  await page.keyboard.press("a");
  await page.getByText("Went on", { exact: true }).waitFor();
  const dropped = mock.hold();
  await page.getByText("Held now").waitFor();
  await page.keyboard.press("X");
  await page.getByText("Dropped").waitFor();
  assert.equal(mock.flows.find((flow) => flow.id === dropped).reason, "dropped-at-breakpoint");
  await page.getByRole("button", { name: "Breakpoint", exact: true }).click();
  await page.getByLabel("Filter").fill("host:(");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Filter").fill("host:new.example");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("host:new.example").waitFor();
  await page.getByRole("button", { name: "Rule", exact: true }).click();
  await page.getByLabel("Name", { exact: true }).first().fill("stop it");
  await page.getByLabel("Action", { exact: true }).selectOption("block");
  await page.getByRole("button", { name: "Action", exact: true }).click();
  await page.getByLabel("Action", { exact: true }).nth(1).selectOption("rewrite");
  await page.getByLabel("Host", { exact: true }).fill("staging.example");
  await page.getByLabel("Path: regular expression").fill("^/v1/");
  await page.getByLabel("Becomes").fill("/v2/");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("stop it").waitFor();
  await page.getByText("rewrite to staging.example, ^/v1/ to /v2/").waitFor();
  await page.getByRole("switch", { name: "Rule stop it" }).click();
  await page.locator("tr.dim", { hasText: "stop it" }).waitFor();
  await close();
});

test("explains a typed request", async () => {
  const { page, close } = await open({ hash: "#policy?tab=explain" });
  await page.getByLabel("URL, or host:port for a tunnel").fill("https://api.stripe.com/v1/orders");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.locator(".trace .verdict.allow").waitFor();
  await page.getByLabel("URL, or host:port for a tunnel").fill("https://elsewhere.example/");
  await page.keyboard.press("Enter");
  await page.locator(".trace .verdict.policy").waitFor();
  await close();
});

test("says whether this browser trusts the CA", async () => {
  const plain = await open({ hash: "#certificates" });
  await plain.page.getByText("This browser does not trust the CA").waitFor();
  await plain.close();
  const trusting = await open({ hash: "#certificates", ignoreHTTPSErrors: true });
  await trusting.page.getByText("This browser trusts the CA").waitFor();
  await trusting.close();
});

test("follows the system's colours and remembers another choice", async () => {
  const { page, close } = await open({ colorScheme: "dark" });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await page.keyboard.press("t");
  const light = await background();
  assert.notEqual(light, dark);
  await page.reload();
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  assert.equal(await background(), light);
  await close();
});

test("has a name for every control, and text that can be read", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { page, close } = await open({ colorScheme });
    await rows(page).first().waitFor();
    await rows(page).first().click();
    for (const hash of ["", "#overview", "#policy", "#policy?tab=explain", "#policy?tab=suggest", "#certificates", "#changes", "#audit"]) {
      if (hash) await page.evaluate((to) => (location.hash = to), hash);
      await page.waitForTimeout(500);
      const problems = await page.evaluate(audit);
      assert.deepEqual(problems, [], `${colorScheme} ${hash}`);
    }
    await close();
  }
});

test("tells what to type while nothing has passed", async () => {
  const empty = await start({ empty: true, rate: 0 });
  const { page, close } = await open({ at: empty });
  await page.getByText("Nothing has passed yet").waitFor();
  assert.match(await page.locator(".empty pre").first().innerText(), /^curl -x http:\/\/127\.0\.0\.1:8888 https:\/\/example\.com\/$/);
  await close();
  await empty.stop();
});

/** Runs in the page: controls without a name, and text with less contrast than WCAG AA asks for. */
function audit() {
  const problems = [];
  const name = (element) => element.getAttribute("aria-label") || element.getAttribute("title") || element.textContent?.trim() || (element.id && document.querySelector(`label[for="${CSS.escape(element.id)}"]`)?.textContent) || element.closest("label")?.textContent?.trim() || element.getAttribute("placeholder");
  for (const element of document.querySelectorAll("button, a[href], input, select, textarea, [role=tab], [role=switch]")) if (!name(element)) problems.push(`no name: ${element.outerHTML.slice(0, 120)}`);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((channel, i) => channel * top[3] + under[i] * (1 - top[3]));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((channel) => (channel / 255 <= 0.04045 ? channel / 255 / 12.92 : ((channel / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.getElementById("app"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest("svg, [disabled], .unused, .colours")) continue;
    const style = getComputedStyle(element);
    const layers = [];
    let faded = false;
    for (let node = element; node; node = node.parentElement) {
      layers.unshift(rgba(getComputedStyle(node).backgroundColor));
      if (Number(getComputedStyle(node).opacity) < 0.75) faded = true;
    }
    if (faded) continue;
    const background = layers.reduce((under, top) => over(top, under), [255, 255, 255]);
    const text = over(rgba(style.color), background);
    const [a, b] = [luminance(text), luminance(background)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const key = `${element.className} ${style.color} ${background.map(Math.round)}`;
    if (ratio < 4.45 && !seen.has(key)) {
      seen.add(key);
      problems.push(`contrast ${ratio.toFixed(2)}: <${element.tagName.toLowerCase()} class="${element.className}"> “${walker.currentNode.data.trim().slice(0, 30)}”`);
    }
  }
  return problems;
}

async function pictures(directory) {
  mkdirSync(directory, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    const { page, close } = await open({ colorScheme });
    const shot = async (name) => {
      await page.waitForTimeout(700);
      await page.screenshot({ path: join(directory, `${name}-${colorScheme}.png`) });
    };
    const show = async (hash) => {
      await page.evaluate((to) => (location.hash = to), hash);
      await page.waitForTimeout(500);
    };
    await rows(page).first().waitFor();
    await shot("traffic");
    await page.keyboard.press("p");
    await show("#traffic?filter=host%3Aapi.stripe.com%20status%3A200%20path%3Aorders");
    await rows(page).nth(4).click();
    await shot("traffic-summary");
    for (const tab of ["Request", "Response", "TLS", "Policy"]) {
      await page.locator(".detail [role=tab]", { hasText: tab }).click();
      await shot(`traffic-${tab.toLowerCase()}`);
    }
    await page.keyboard.press("d");
    await page.keyboard.press("j");
    await page.keyboard.press("d");
    await shot("compare");
    await page.keyboard.press("Escape");
    await page.keyboard.press("r");
    await shot("replay");
    await page.keyboard.press("Escape");
    await show("#traffic?filter=is%3Arefused");
    await rows(page).nth(2).click();
    await page.locator(".detail [role=tab]", { hasText: "Summary" }).click();
    await shot("traffic-refused");
    await show("#traffic?filter=kind%3Awebsocket");
    await rows(page).nth(2).click();
    await page.locator(".detail [role=tab]", { hasText: "Messages" }).click();
    await page.locator(".message-line").nth(2).click();
    await shot("traffic-messages");
    for (const [name, hash] of [["overview", "#overview"], ["policy", "#policy"], ["policy-audit", "#policy?tab=audit"], ["policy-suggest", "#policy?tab=suggest"], ["certificates", "#certificates"], ["audit", "#audit"]]) {
      await show(hash);
      await shot(name);
    }
    await show("#policy?tab=explain");
    await page.getByLabel("URL, or host:port for a tunnel").fill("https://api.stripe.com/v1/orders");
    await page.getByRole("button", { name: "Explain" }).click();
    await shot("policy-explain");
    await show("#changes");
    mock.hold();
    await shot("changes");
    await page.getByRole("button", { name: "Look, edit" }).first().click();
    await shot("held");
    await page.getByRole("button", { name: "Go on" }).first().click();
    await page.keyboard.press("?");
    await shot("help");
    await page.keyboard.press("Escape");
    await page.getByTitle("Log out (admin)").click();
    await shot("login");
    await close();
    const empty = await start({ empty: true, rate: 0 });
    const first = await open({ at: empty, colorScheme });
    await first.page.waitForTimeout(500);
    await first.page.screenshot({ path: join(directory, `empty-${colorScheme}.png`) });
    await first.close();
    await empty.stop();
  }
}

let failed = 0;
try {
  if (options.pictures) await pictures(options.pictures);
  else {
    for (const [name, act] of tests) {
      if (options.only && !name.includes(options.only)) continue;
      try {
        await act();
        console.log(`ok   ${name}`);
      } catch (error) {
        failed++;
        console.log(`FAIL ${name}\n${error.stack ?? error}`);
      }
    }
  }
} finally {
  await browser.close();
  await mock.stop();
}
process.exit(failed > 0 ? 1 : 0);
