// Drives the pages of people and sign-in in headless Chromium, with a virtual authenticator for passkeys: each page in light,
// in dark and at 320 px, without console errors, violations of the content security policy or of accessibility rules.

import assert from "node:assert/strict";
import { BASE, PASSWORD, SETUP, inspect, journey, open } from "./look.mjs";

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
  step.setBigUint64(0, BigInt(Math.floor(Number(process.env.NOW) / 30)));
  const tag = new DataView(await crypto.subtle.sign("HMAC", key, step.buffer));
  const word = tag.getUint32(tag.getUint8(19) & 0xf) & 0x7fffffff;
  return String(word % 1_000_000).padStart(6, "0");
}

await journey(async () => {
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
});
