// Drives the pages of people and sign-in in headless Chromium, with a virtual authenticator for passkeys: each page in light,
// in dark and at 320 px, without console errors, violations of the content security policy or of accessibility rules.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import axe from "axe-core";
import { chromium } from "playwright-core";

const { BASE, SETUP, SHOTS, CHROMIUM, NOW } = process.env;
const PASSWORD = "blue kettle of rain";
mkdirSync(SHOTS, { recursive: true });

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];

/** A page whose every complaint counts. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(10_000);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    // a refusal is a page with that status, which Chromium reports as a failed load
    const expected = /status of 4(03|22|29)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  return page;
}

/** Looks at the page as it is, in each appearance. */
async function inspect(page, name) {
  for (const [look, scheme, width] of [["light", "light", 1280], ["dark", "dark", 1280], ["320", "light", 320]]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: width === 320 ? 640 : 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) faults.push(`${name} ${look}: ${wide} px wider than the window`);
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    for (const { id, nodes } of violations) faults.push(`${name} ${look}: ${id}: ${nodes.map((node) => node.html + node.failureSummary).join(" | ")}`);
    await page.screenshot({ path: `${SHOTS}/${name}-${look}.png`, fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  console.log(`inspected ${name}`);
}

/** An authenticator in the laptop that knows its owner's finger. */
async function authenticator(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  await devtools.send("WebAuthn.addVirtualAuthenticator", { options: {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  } });
}

async function signOut(page) {
  await page.getByRole("button", { name: "Sign out", exact: true }).first().click();
  await page.waitForURL(/sign-in/);
}

async function passkeys(page) {
  await page.goto(`${BASE}/account`);
  await inspect(page, "account");
  await page.fill("#passkey-name", "This laptop");
  await page.fill("#passkey-password", "not the password");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByText("Name or password is wrong.").waitFor();
  await page.fill("#passkey-name", "That laptop");
  await page.fill("#passkey-password", PASSWORD);
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByText("The passkey is added.").waitFor();
  await inspect(page, "account-passkey");
  await signOut(page);
  // offered where the name is typed, and taken at once by the virtual authenticator; else by the button
  await page.waitForSelector("#passkey-sign-in:not([hidden])").catch(() => {});
  if (/sign-in/.test(page.url())) await page.getByRole("button", { name: "Sign in with a passkey" }).click().catch(() => {});
  await page.waitForURL(`${BASE}/`);
}

async function people(page) {
  await page.goto(`${BASE}/users/invite`);
  await inspect(page, "users-invite");
  await page.getByLabel("operator").check();
  await page.fill("#note", "Bob from the workshop");
  await page.getByRole("button", { name: "Make the link" }).click();
  await page.waitForSelector("#link");
  await inspect(page, "users-link");
  const link = await page.locator("#link").innerText();
  await page.goto(`${BASE}/users`);
  await inspect(page, "users");

  const bob = await open();
  await bob.goto(`${BASE}/join${new URL(link).hash}`);
  assert.equal(new URL(bob.url()).hash, "", "the token stays in the address bar");
  assert.ok(await bob.locator("#link").isHidden() && await bob.locator("#link-taken").isVisible());
  await inspect(bob, "join");
  await bob.fill("#name", "bob");
  await bob.fill("#password", PASSWORD);
  await bob.keyboard.press("Enter");
  await bob.waitForURL(`${BASE}/`);
  assert.equal(await bob.getByRole("link", { name: "Users" }).count(), 0, "what one may not see is not shown");
  await bob.goto(`${BASE}/users`);
  await bob.getByText("Your account may not do that").waitFor();
  await inspect(bob, "forbidden");

  await page.goto(`${BASE}/users`);
  await page.getByRole("link", { name: "bob" }).click();
  await inspect(page, "user");
  await page.getByRole("link", { name: "Remove" }).click();
  await inspect(page, "user-remove");
  await page.getByRole("button", { name: "Remove bob" }).click();
  await page.getByText("They are signed out everywhere").waitFor();
}

async function app(page) {
  await page.goto(`${BASE}/account/authenticator`);
  await inspect(page, "authenticator");
  await page.fill("#code", "000000");
  await page.getByRole("button", { name: "Switch it on" }).click();
  await page.getByText("This code is wrong").waitFor();
  await page.fill("#code", await code(await page.locator("#secret").innerText()));
  await page.getByRole("button", { name: "Switch it on" }).click();
  await page.waitForSelector("#codes");
  await inspect(page, "recovery-codes");
  const [recovery] = (await page.locator("#codes").innerText()).trim().split(/\s+/);
  await page.getByRole("link", { name: "I have kept them" }).click();
  await inspect(page, "account-app");

  // without scripts: password, then a recovery code
  const plain = await open({ javaScriptEnabled: false });
  await plain.goto(`${BASE}/sign-in?next=/account`);
  await plain.fill("#name", "ada");
  await plain.fill("#password", PASSWORD);
  await plain.getByRole("button", { name: "Sign in" }).click();
  await plain.waitForURL(/sign-in\/code/);
  const looked = await open();
  await looked.context().addCookies(await plain.context().cookies());
  await looked.goto(`${BASE}/sign-in/code?next=/account`);
  await inspect(looked, "code");
  await plain.fill("#code", recovery);
  await plain.getByRole("button", { name: "Sign in" }).click();
  await plain.waitForURL(`${BASE}/account`);
  await plain.getByText("9 recovery codes left").waitFor();
  await plain.getByRole("button", { name: "Sign out everywhere else" }).click();
  await plain.getByText("Signed out there").waitFor();
}

/** The code of an authenticator app (RFC 6238) at the server's time, which stands still. */
async function code(secret) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replaceAll(" ", "")].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const bytes = Uint8Array.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const step = new DataView(new ArrayBuffer(8));
  step.setBigUint64(0, BigInt(Math.floor(Number(NOW) / 30)));
  const tag = new DataView(await crypto.subtle.sign("HMAC", key, step.buffer));
  const word = tag.getUint32(tag.getUint8(19) & 0xf) & 0x7fffffff;
  return String(word % 1_000_000).padStart(6, "0");
}

let failed = false;
try {
  const page = await open();
  await authenticator(page);
  await page.goto(`${BASE}/setup#${SETUP}`);
  await page.fill("#name", "ada");
  await page.fill("#password", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(/devices/);
  await passkeys(page);
  await people(page);
  await app(page);
  const stranger = await open();
  await stranger.goto(`${BASE}/reset`);
  await inspect(stranger, "reset");
  await stranger.goto(`${BASE}/sign-in`);
  await inspect(stranger, "sign-in-passkey");
} catch (error) {
  failed = true;
  console.log(error.stack);
  const pages = browser.contexts().flatMap((context) => context.pages());
  for (const [index, page] of pages.entries()) await page.screenshot({ path: `${SHOTS}/accounts-failure-${index}.png`, fullPage: true });
} finally {
  await browser.close();
}
for (const fault of faults) console.log(`fault: ${fault}`);
process.exit(failed || faults.length > 0 ? 1 : 0);
