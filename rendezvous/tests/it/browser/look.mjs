// What every journey through the dashboard has in common: a browser whose every complaint counts, a look at a page in each
// appearance, and the world outside the browser, which does what it is asked to.

import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import axe from "axe-core";
import { chromium } from "playwright-core";

export const { BASE, SETUP, SHOTS } = process.env;
export const PASSWORD = "blue kettle of rain";

const faults = [];
mkdirSync(SHOTS, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** A page in a browser of its own, whose every complaint counts. */
export async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(10_000);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    // A refusal is a page with that status, which Chromium reports as a failed load; streams are cut by journeys, and by
    // the browser itself when its machine gets another interface. That they come back is what the journeys look at.
    const expected = /status of 4(03|04|22|29)|net::ERR_(BLOCKED_BY_CLIENT|NETWORK_CHANGED)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  return page;
}

const LOOKS = { "light": ["light", 1280], "dark": ["dark", 1280], "980": ["light", 980], "320": ["light", 320], "320-dark": ["dark", 320] };

/** Looks at the page as it is, in each of these appearances. */
export async function inspect(page, name, looks = Object.keys(LOOKS)) {
  for (const look of looks) {
    const [scheme, width] = LOOKS[look];
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: width === 320 ? 640 : 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) faults.push(`${name} ${look}: ${wide} px wider than the window`);
    const cut = await page.evaluate(() => [...document.querySelectorAll(".sheet, .command")].filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.className));
    if (cut.length > 0) faults.push(`${name} ${look}: something is cut off in ${cut}`);
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    for (const { id, nodes } of violations) faults.push(`${name} ${look}: ${id}: ${nodes.map((node) => node.html + node.failureSummary).join(" | ")}`);
    await page.screenshot({ path: `${SHOTS}/${name}-${look}.png`, fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
  await page.setViewportSize({ width: 1280, height: 800 });
  console.log(`inspected ${name}`);
}

export const text = (page, selector) => page.locator(selector).innerText();

let replies;

/** Asks the test that started this script to make something happen: one JSON line out, one JSON line back. */
export async function stage(action, details = {}) {
  replies ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(`@stage ${JSON.stringify({ action, ...details })}`);
  const { value } = await replies.next();
  return JSON.parse(value);
}

/** Goes the way to its end, and ends this script well only if nothing was wrong on it. */
export async function journey(way) {
  let failed = false;
  try {
    await way();
  } catch (error) {
    failed = true;
    console.log(error.stack);
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) await page.screenshot({ path: `${SHOTS}/failure-${index}.png`, fullPage: true });
  } finally {
    await browser.close();
  }
  for (const fault of faults) console.log(`fault: ${fault}`);
  process.exit(failed || faults.length > 0 ? 1 : 0);
}
