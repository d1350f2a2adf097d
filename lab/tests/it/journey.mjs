// A person's first minutes with a server of their own: from the setup link to two devices that talk, and what the pages
// say when the way between them is cut and when it is free again. Everything outside the browser is real.

import assert from "node:assert/strict";
import { BASE, PASSWORD, SETUP, inspect, journey, open, stage, text } from "../../../rendezvous/tests/it/browser/look.mjs";

/** The journeys of the rendezvous look at all pages in all appearances; here what matters is what they say. */
const look = (page, name) => inspect(page, name, ["light", "320-dark"]);
const live = (page) => page.waitForSelector("#live-mark[data-state=live]");

async function setUp(page) {
  await page.goto(SETUP);
  await look(page, "setup");
  await page.fill("#name", "ada");
  await page.fill("#password", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${BASE}/devices/new/*`);
}

/** Pastes the line of this page on a host; the page is left alone meanwhile. */
async function paste(page, host) {
  await live(page);
  await look(page, `add-${host}`);
  await stage("paste", { host, line: await text(page, "#command") });
  await page.getByText(`${host} is online`).waitFor();
}

async function addTwo(page) {
  await paste(page, "desktop");
  await page.getByText("It is the only device online").waitFor();
  await look(page, "added-desktop");
  await page.getByRole("button", { name: "Make another command" }).click();
  await paste(page, "laptop");
  await page.locator("#enrolment .direct").waitFor();
  assert.match(await text(page, "#enrolment"), /laptop is online\s[\s\S]*direct\s+to desktop in \S+ ms/);
  await look(page, "added-laptop");
}

async function seeThemDirect(page) {
  await page.goto(`${BASE}/`);
  await live(page);
  await look(page, "overview-direct");
  await page.goto(`${BASE}/devices`);
  await live(page);
  await look(page, "devices");
  await page.getByRole("link", { name: "laptop" }).click();
  await live(page);
  await look(page, "device-direct");
  await page.getByRole("link", { name: "direct: the path to desktop" }).click();
  await page.waitForURL(`${BASE}/pairs/*/*`);
  await live(page);
  await page.getByText("Packets go straight from device to device.").waitFor();
  for (const cell of await page.locator("#pair-paths [data-label='Round trip']").allInnerTexts()) assert.match(cell, /\d ms$/);
  const tried = await text(page, "#pair-tried");
  for (const words of ["hole punch", "answered", "as servers see it", "an address of its own"]) assert.ok(tried.includes(words), `${words} is not in ${tried}`);
  await look(page, "pair-direct");
}

async function cut(page) {
  await stage("cut");
  await page.getByRole("button", { name: "Ping now" }).click();
  await page.getByText("Packets go through the relay, sealed.").waitFor({ timeout: 40_000 });
  // while both still wait for answers it is too early to say why
  await page.locator("#pair-paths strong").waitFor({ timeout: 40_000 });
  const why = await text(page, "#pair-paths > p");
  assert.match(why, /No address of either device answered the other/);
  assert.match(why, /Let the firewalls of both networks pass UDP to and from any address at the agents' ports: \d+ at \w+, \d+ at \w+\./);
  await look(page, "pair-relay");
  const pair = page.url();
  await page.goto(`${BASE}/`);
  await page.getByText("No address of either device answered the other").waitFor();
  await look(page, "overview-relay");
  await page.goto(`${BASE}/devices`);
  await page.getByRole("link", { name: "laptop" }).click();
  await page.getByText("No address of either device answered the other").waitFor();
  await look(page, "device-relay");
  await page.goto(pair);
}

async function mend(page) {
  await stage("mend");
  await live(page);
  await page.getByRole("button", { name: "Retry direct now" }).click();
  await page.getByText("Packets go straight from device to device.").waitFor({ timeout: 30_000 });
  assert.match(await text(page, "#pair-changes"), /relay then\s+direct/);
  await look(page, "pair-mended");
}

await journey(async () => {
  // the server vouches for itself; a person says yes to that once
  const page = await open({ ignoreHTTPSErrors: true });
  await setUp(page);
  await addTwo(page);
  await seeThemDirect(page);
  await cut(page);
  await mend(page);
});
