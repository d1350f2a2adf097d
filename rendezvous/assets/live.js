/**
 * Keeps a page live: replaces elements by id as the server sends them, and says honestly whether it still does.
 *
 * The page names its stream in `data-live` and the state it was rendered from in `data-state` on <main>. Every event
 * "patch" carries one element with an id; the event id names the state that is complete with it, so that a new
 * connection resumes where the last one ended. Without this module the page is a page: reload it to see changes.
 */

const main = /** @type {HTMLElement} */ (document.querySelector("main"));
const mark = document.getElementById("live-mark");
/** What the server renders is the only HTML that enters a page, and only here. */
const passAsIs = { createHTML: (/** @type {string} */ html) => html };
const policy = /** @type {any} */ (window).trustedTypes?.createPolicy("app", passAsIs) ?? passAsIs;

/** The server beats every 10 s; two and a half beats of silence is not live. */
const SILENCE_MS = 25_000;
/** A hidden tab gives its connection back after this long. */
const HIDDEN_MS = 30_000;
/** Waits between attempts once the browser itself has given up. */
const RETRY_MS = [1_000, 2_000, 5_000, 10_000, 20_000];

let resumeFrom = main.dataset.state ?? "";
/** @type {EventSource | undefined} */
let source;
let failures = 0;
let lastHeard = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retryTimer;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let hideTimer;

/** @param {"live" | "stale" | "paused"} state @param {string} text */
function show(state, text) {
  if (!mark || mark.dataset.state === state) return;
  mark.dataset.state = state;
  const words = mark.querySelector("[data-words]");
  if (words) words.textContent = text;
}

function heard() {
  lastHeard = Date.now();
  failures = 0;
  show("live", "Live");
}

/**
 * Finds the control of the new element that is what the focused one was: the same link or id, else the same place.
 * @param {Element} before @param {Element} after
 */
function counterpart(before, after) {
  const focusable = "a[href], button, input, summary";
  const name = (/** @type {Element} */ control) => control.id || control.getAttribute("href");
  const focused = /** @type {Element} */ (document.activeElement);
  const index = [...before.querySelectorAll(focusable)].indexOf(focused);
  const controls = /** @type {HTMLElement[]} */ ([...after.querySelectorAll(focusable)]);
  return controls.find((control) => name(control) && name(control) === name(focused)) ?? controls[index];
}

/** What a person has ticked stays so. @param {Element} before @param {Element} after */
function keepChoices(before, after) {
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (before.querySelectorAll("input[type=checkbox]:checked"))) {
    const same = [...after.querySelectorAll("input")].find((other) => other.name === box.name && other.value === box.value);
    if (same) same.checked = true;
  }
}

/** @param {string} html */
function patch(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  const next = template.content.firstElementChild;
  const current = next && document.getElementById(next.id);
  if (!next || !current) return;
  keepChoices(current, next);
  const focus = current.contains(document.activeElement) ? counterpart(current, next) : undefined;
  // what the reader has opened stays open
  for (const { id } of current.querySelectorAll("details[id][open]")) next.querySelector(`#${id}`)?.setAttribute("open", "");
  current.replaceWith(next);
  if (next.matches("[data-fresh]")) next.classList.add("fresh");
  focus?.focus({ preventScroll: true });
  tellTimes(next);
  document.dispatchEvent(new Event("patched"));
}

function open() {
  clearTimeout(retryTimer);
  source?.close();
  const url = new URL(/** @type {string} */ (main.dataset.live), location.href);
  url.searchParams.set("from", resumeFrom);
  source = new EventSource(url);
  source.addEventListener("open", heard);
  source.addEventListener("beat", heard);
  source.addEventListener("patch", (event) => {
    heard();
    patch(event.data);
    if (event.lastEventId) resumeFrom = event.lastEventId;
  });
  source.addEventListener("error", failed);
}

function failed() {
  show("stale", "Not live: reconnecting");
  if (source?.readyState !== EventSource.CLOSED) return;
  failures += 1;
  // A session that has ended closes every stream at once; a plain reload then leads to the sign-in page.
  retryTimer = setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length) - 1]);
}

function watchSilence() {
  if (source && Date.now() - lastHeard > SILENCE_MS) {
    show("stale", "Not live: reconnecting");
    open();
    lastHeard = Date.now();
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hideTimer);
  if (document.hidden) {
    hideTimer = setTimeout(() => {
      source?.close();
      source = undefined;
      show("paused", "Paused");
    }, HIDDEN_MS);
  } else if (!source) open();
});

/** Rewrites relative times as they age, and offers the exact one in the reader's zone. @param {ParentNode} root */
function tellTimes(root) {
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-relative]"))) {
    const then = new Date(time.dateTime);
    time.textContent = relative((then.getTime() - Date.now()) / 1000);
    time.title = then.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });
  }
}

/** The same words as the server's. @param {number} seconds negative for the past */
function relative(seconds) {
  const ago = Math.abs(seconds);
  const [amount, unit] = ago < 60 ? [Math.floor(ago), "s"] : ago < 3600 ? [Math.floor(ago / 60), "min"]
    : ago < 86400 ? [Math.floor(ago / 3600), "h"] : [Math.floor(ago / 86400), "d"];
  if (ago < 5) return "just now";
  return seconds < 0 ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}

tellTimes(document);
setInterval(() => tellTimes(document), 5_000);
if (main.dataset.live) {
  setInterval(watchSilence, 5_000);
  open();
}
