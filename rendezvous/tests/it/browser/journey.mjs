// Drives the dashboard as a person would, in headless Chromium: every page in light, in dark and at 320 px, with no
// console error, no violation of the content security policy, no accessibility violation and no sideways scrolling.
// What happens outside the browser (a device enrols, comes online, reports a path) is asked of the Rust test.

import assert from "node:assert/strict";
import { BASE, PASSWORD, SETUP, SHOTS, inspect, journey, open, stage, text } from "./look.mjs";

async function setUp(page) {
  await page.goto(`${BASE}/setup#${SETUP}`);
  assert.equal(new URL(page.url()).hash, "", "the token stays in the address bar");
  assert.equal(await page.locator("#link").inputValue(), SETUP);
  assert.ok(await page.locator("#link").isHidden() && await page.locator("#link-taken").isVisible());
  await inspect(page, "setup");
  await page.fill("#name", "ada");
  await page.fill("#password", "aaaaaaaaaaaaaaaa");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#password-wrong");
  await inspect(page, "setup-refused");
  await page.fill("#password", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${BASE}/devices/new/*`);
}

async function addDevice(page) {
  await page.goto(`${BASE}/devices/new`);
  await inspect(page, "new");
  await page.goto(`${BASE}/devices`);
  await inspect(page, "devices-empty");
  await page.getByRole("link", { name: "Add device" }).click();
  await page.getByRole("button", { name: "Make the command" }).click();
  await page.waitForSelector("#live-mark[data-state=live]");
  await inspect(page, "invited-waiting");
  const command = await text(page, "#command");
  await page.getByRole("button", { name: "Copy" }).click();
  await page.waitForFunction(() => document.querySelector("[data-copy] [data-words]").textContent === "Copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  assert.match(command, /^curl -fsSL \S+\/install\.sh \| sudo sh -s -- warren_inv_[\w-]+$/);

  const laptop = await stage("enrol", { invite: command.split(" ").at(-1), hostname: "laptop" });
  await page.getByText("laptop is enrolled, but not connected").waitFor();
  await stage("online", { device: laptop.id });
  await page.getByText("laptop is online").waitFor();
  await page.getByText("It is the only device online").waitFor();
  return laptop;
}

async function seeSecondDevice(page, laptop) {
  await page.getByRole("button", { name: "Make another command" }).click();
  await page.waitForSelector("#live-mark[data-state=live]");
  const invite = (await text(page, "#command")).split(" ").at(-1);
  const desktop = await stage("enrol", { invite, hostname: "desktop" });
  await stage("online", { device: desktop.id });
  await stage("path", { from: desktop.id, to: laptop.id, kind: "relay", rtt_us: 41_300 });
  await page.locator("#enrolment .relay").waitFor();
  await inspect(page, "invited-relay");
  await stage("path", { from: desktop.id, to: laptop.id, kind: "direct", rtt_us: 12_400 });
  await page.locator("#enrolment .direct").waitFor();
  assert.match(await text(page, "#enrolment"), /desktop is online\s[\s\S]*direct\s+to laptop in 12 ms/);
  await inspect(page, "invited-direct");
  return desktop;
}

async function watchList(page, laptop, desktop) {
  await page.goto(`${BASE}/devices`);
  await page.waitForSelector("#live-mark[data-state=live]");
  await stage("path", { from: laptop.id, to: desktop.id, kind: "direct", rtt_us: 12_900 });
  await page.locator(`#device-${laptop.id} .direct`).waitFor();
  for (const name of ["nas", "office-printer-third-floor", "phone"]) {
    const { id } = await stage("device", { hostname: name });
    if (name === "phone") continue;
    await stage("online", { device: id });
    for (const peer of [laptop.id, desktop.id]) {
      await stage("path", { from: id, to: peer, kind: name === "nas" ? "direct" : "relay", rtt_us: 800 });
      await stage("path", { from: peer, to: id, kind: name === "nas" ? "direct" : "relay", rtt_us: 800 });
    }
  }
  await page.getByText("4 of 5 online").waitFor();
  await inspect(page, "devices");

  // what has the focus keeps it when its row is replaced
  await page.locator(`#device-${laptop.id} a.name`).focus();
  await stage("rename", { device: laptop.id, name: "travel-laptop" });
  await page.getByRole("link", { name: "travel-laptop" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "travel-laptop");
  await stage("offline", { device: desktop.id });
  await page.locator(`#device-${desktop.id}`).getByText("Offline").waitFor();
  await page.screenshot({ path: `${SHOTS}/devices-focus.png` });
  await stage("online", { device: desktop.id });
  await stage("path", { from: desktop.id, to: laptop.id, kind: "direct", rtt_us: 12_400 });
}

async function seePair(page, laptop, desktop) {
  await stage("history", { from: laptop.id, to: desktop.id });
  await stage("history", { from: desktop.id, to: laptop.id });
  await stage("path", { from: laptop.id, to: desktop.id, kind: "direct", rtt_us: 12_900 });
  await page.goto(`${BASE}/devices/${laptop.id}`);
  await page.getByRole("link", { name: "direct: the path to desktop" }).click();
  await page.waitForSelector("#live-mark[data-state=live]");
  assert.match(await text(page, "#pair-changes"), /travel-laptop to desktop:\s+direct then\s+relay/);
  await page.getByRole("button", { name: "Ping now" }).click();
  await page.getByText("5 of 5 answered, mean 11 ms, over IPv4").first().waitFor();
  await inspect(page, "pair");

  // the read-out follows the pointer and the arrow keys, and survives the drawing being replaced
  const plot = page.locator("#plot-rtt");
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.locator("svg[role]").boundingBox();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 60);
  assert.match(await text(page, "#plot-rtt output"), /UTC\s+travel-laptop to desktop: 1\d ms\s+desktop to travel-laptop: 1\d ms/);
  await plot.locator("svg[role]").focus();
  await page.keyboard.press("PageUp");
  const read = await text(page, "#plot-rtt output");
  await stage("path", { from: desktop.id, to: laptop.id, kind: "relay", rtt_us: 41_300 });
  await page.getByText("Packets go through the relay, sealed.").waitFor();
  assert.ok((await text(page, "#plot-rtt output")).startsWith(read.slice(0, 8)));
  await page.screenshot({ path: `${SHOTS}/pair-read.png`, fullPage: true });
  await page.getByText("The same in numbers").click();
  await page.screenshot({ path: `${SHOTS}/pair-numbers.png`, fullPage: true });

  await page.getByRole("button", { name: "Retry direct now" }).click();
  await page.getByText("Both look for a direct path now.").waitFor();
  await page.getByRole("link", { name: "7d", exact: true }).click();
  await page.waitForURL(/range=7d/);
  await inspect(page, "pair-week");
  await stage("path", { from: desktop.id, to: laptop.id, kind: "direct", rtt_us: 12_400 });
}

async function seeMap(page, laptop, desktop) {
  await page.getByRole("link", { name: "Map", exact: true }).click();
  await page.waitForSelector("#live-mark[data-state=live]");
  await inspect(page, "map");
  await page.getByRole("button", { name: "Nearer" }).click();
  const view = () => page.locator("#map-graph").getAttribute("viewBox");
  const near = await view();
  assert.notEqual(near, "0 0 960 640");
  await stage("path", { from: desktop.id, to: laptop.id, kind: "relay", rtt_us: 41_300 });
  await page.locator("#map-table").getByText("27 ms").waitFor();
  assert.equal(await view(), near, "the view is lost when the drawing is replaced");
  await page.getByRole("button", { name: "All" }).click();
  assert.equal(await view(), "0 0 960 640");
  await page.locator(`#map-graph a[href$="${laptop.id}"] .reach, #map-graph a[href^="/pairs/${laptop.id}"] .reach`).first().click({ force: true });
  await page.waitForURL(/\/pairs\//);
  await page.goto(`${BASE}/map?form=matrix`);
  await page.waitForSelector("#live-mark[data-state=live]");
  await inspect(page, "map-matrix");
  // the second row, the first column
  await page.locator("#map-matrix").click({ position: { x: 372, y: 396 } });
  await page.waitForURL(/\/pairs\//);
  await page.goto(`${BASE}/map?kind=relay&name=laptop`);
  await inspect(page, "map-filtered");
  await stage("path", { from: desktop.id, to: laptop.id, kind: "direct", rtt_us: 12_400 });
  await page.goto(`${BASE}/devices`);
}

async function seeDevice(page, laptop, desktop) {
  await page.getByRole("link", { name: "travel-laptop" }).click();
  await page.waitForSelector("#live-mark[data-state=live]");
  await inspect(page, "device");
  await page.fill("#new-name", "Not a name");
  await page.getByRole("button", { name: "Rename" }).click();
  await page.waitForSelector("#name-wrong");
  await inspect(page, "device-rename-refused");
  await page.fill("#new-name", "laptop");
  await page.keyboard.press("Enter");
  await page.getByText("Renamed.").waitFor();

  await page.goto(`${BASE}/devices/${desktop.id}`);
  const revoke = page.getByRole("link", { name: "Revoke" });
  await revoke.click();
  const dialog = page.getByRole("dialog", { name: "Revoke desktop?" });
  await dialog.waitFor();
  assert.match(await dialog.innerText(), /Traffic between it and laptop stops/);
  await inspect(page, "revoke-dialog");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.ok(await revoke.evaluate((link) => link === document.activeElement), "the focus is lost");
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Revoke desktop" }).click();
  await page.getByText("Revoked.").waitFor();
  assert.equal(await page.getByRole("link", { name: "desktop" }).count(), 0);
  await page.goto(`${BASE}/devices/${desktop.id}`);
  await inspect(page, "device-revoked");
}

async function seeOverview(page, laptop) {
  await page.goto(`${BASE}/`);
  await page.waitForSelector("#live-mark[data-state=live]");
  const { code } = await stage("ask", { hostname: "toaster" });
  await page.getByText("1 device waits to be let in").waitFor();
  await inspect(page, "overview");
  await page.getByRole("link", { name: "Decide" }).click();
  await page.waitForSelector("#live-mark[data-state=live]");
  await inspect(page, "activate-waiting");
  await page.fill("#code", code.toLowerCase().replace("-", " "));
  await page.keyboard.press("Enter");
  await page.getByText("wants to become part of this network").waitFor();
  await inspect(page, "activate");
  await page.fill("#tags", "kitchen");
  await page.getByRole("button", { name: "Let it in" }).click();
  await page.getByText("Let in.").waitFor();
  await page.goto(`${BASE}/activate?code=BCDF-BCDF`);
  await inspect(page, "activate-unknown");
}

async function changeMany(page) {
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.waitForURL(`${BASE}/devices`);
  await page.waitForSelector("#live-mark[data-state=live]");
  assert.ok(await page.locator("#bulk").isHidden(), "nothing is selected");
  await page.getByRole("checkbox", { name: "Select nas" }).check();
  await page.getByRole("checkbox", { name: "Select phone" }).check();
  assert.equal(await text(page, "[data-count]"), "2 selected");
  await page.fill("#bulk-tags", "shelf");
  await inspect(page, "devices-selected");
  await page.getByRole("button", { name: "Add tag" }).click();
  await page.getByText("The tags are changed.").waitFor();
  await page.selectOption("#tag", "shelf");
  await page.waitForURL(`${BASE}/devices?tag=shelf`);
  assert.equal(await page.locator("tbody tr").count(), 2);
  await inspect(page, "devices-filtered");
  await page.keyboard.press("/");
  await page.keyboard.type("phone");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=phone/);
  await page.getByRole("checkbox", { name: "Select all devices of this page" }).check();
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("heading", { name: "Revoke phone?" }).waitFor();
  await inspect(page, "devices-revoke");
  await page.getByRole("link", { name: "Keep it" }).click();
  await page.locator("main").press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await inspect(page, "keys-help");
  await page.keyboard.press("Escape");
}

async function makeKey(page) {
  await page.goto(`${BASE}/keys`);
  await inspect(page, "keys-empty");
  await page.fill("#key-name", "rack 2");
  await page.check("#reusable");
  await page.fill("#key-tags", "rack-2 lab");
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.waitForURL(`${BASE}/keys/*`);
  const invite = await text(page, "#command");
  await stage("enrol", { invite, hostname: "server-1" });
  await page.reload();
  await inspect(page, "key");
  await page.goto(`${BASE}/keys`);
  await inspect(page, "keys");
  await page.goto(`${BASE}/settings`);
  await page.fill("#name", "Home and office");
  await page.keyboard.press("Enter");
  await page.getByText("Saved.").waitFor();
  await inspect(page, "settings");
}

async function makeWebhook(page) {
  await page.goto(`${BASE}/settings`);
  await page.getByRole("link", { name: "Webhooks" }).click();
  await inspect(page, "webhooks-empty");
  await page.fill("#name", "a chat room with a name that takes up some room");
  await page.fill("#url", "http://127.0.0.1:9/hooks/warren/0123456789abcdef0123456789abcdef");
  await page.getByLabel("Devices: joined").check();
  await page.fill("#more", "user.create network.*");
  await page.getByRole("button", { name: "Make the webhook" }).click();
  await page.waitForURL(`${BASE}/webhooks/*`);
  await page.getByRole("button", { name: "Copy" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await text(page, "#secret"));
  await page.getByRole("button", { name: "Try it out" }).click();
  // it is not asked to be nice to this host
  await page.getByText("may not be called").waitFor();
  await inspect(page, "webhook");
  await page.goto(`${BASE}/webhooks`);
  await inspect(page, "webhooks");
}

async function seeTheRest(page) {
  await page.goto(`${BASE}/activity`);
  await inspect(page, "activity");
  await page.selectOption("#kind", "device");
  await page.waitForURL(`${BASE}/activity?kind=device`);

  await page.goto(`${BASE}/system`);
  await page.getByRole("heading", { name: "Settings in force" }).waitFor();
  await inspect(page, "system");
  await page.goto(`${BASE}/no/such/page`);
  await inspect(page, "not-found");
  // a page that cannot be live says so
  await page.route(/\/live\?/, (route) => route.abort("blockedbyclient"));
  await page.goto(`${BASE}/devices`);
  await page.waitForSelector("#live-mark[data-state=stale]");
  await page.unroute(/\/live\?/);
  await page.waitForSelector("#live-mark[data-state=live]");
}

async function signInByKeyboard(page) {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${BASE}/sign-in`);
  await inspect(page, "sign-in");
  await page.goto(`${BASE}/activity`);
  await page.locator("body").press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("ada");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${BASE}/activity`);
}

async function withoutScripts() {
  const page = await open({ javaScriptEnabled: false });
  await page.goto(`${BASE}/sign-in`);
  await page.fill("#name", "ada");
  await page.fill("#password", PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${BASE}/`);
  assert.match(await text(page, "#live-mark"), /^As of \d{4}-/);
  await page.getByRole("button", { name: "Add device" }).click();
  assert.match(await text(page, "#command"), /^curl /);
  assert.ok(await page.locator("[data-copy=command]").isHidden());
  await page.goto(`${BASE}/map`);
  assert.ok(await page.locator("#map-graph .node").count() >= 3);
  await page.screenshot({ path: `${SHOTS}/map-without-scripts.png`, fullPage: true });
  await page.locator("#map-table a").first().click();
  await page.getByRole("button", { name: "Ping now" }).click();
  assert.match(await text(page, "#pair-pings"), /waiting|answered/);
  await page.goto(`${BASE}/devices`);
  await page.getByRole("link", { name: "nas" }).click();
  await page.fill("#new-name", "store");
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByText("Renamed.").waitFor();
  await page.getByRole("link", { name: "Revoke" }).click();
  await page.screenshot({ path: `${SHOTS}/revoke-page.png`, fullPage: true });
  await page.getByRole("button", { name: "Revoke store" }).click();
  await page.getByText("Revoked.").waitFor();
}

await journey(async () => {
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await setUp(page);
  const laptop = await addDevice(page);
  const desktop = await seeSecondDevice(page, laptop);
  await watchList(page, laptop, desktop);
  await seePair(page, laptop, desktop);
  await seeMap(page, laptop, desktop);
  await seeDevice(page, laptop, desktop);
  await seeOverview(page, laptop);
  await changeMany(page);
  await makeKey(page);
  await makeWebhook(page);
  await seeTheRest(page);
  await signInByKeyboard(page);
  await withoutScripts();
});
