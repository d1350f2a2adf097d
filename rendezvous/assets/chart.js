/**
 * The read-out of plots: what was measured where the pointer is, or where the arrow keys have led.
 *
 * The server draws the plots and puts their values beside the lines; `live.js` replaces them as time goes on, so nothing
 * is kept here but where the reader was last.
 */

/** @type {Record<string, (value: number) => string>} */
const write = {
  bits: (value) => {
    const [unit, prefix] = value >= 1e9 ? [1e9, "G"] : value >= 1e6 ? [1e6, "M"] : value >= 1e3 ? [1e3, "k"] : [1, ""];
    return `${(value / unit).toFixed(unit > 1 && value < 100 * unit ? 1 : 0)} ${prefix}b/s`;
  },
  micros: (value) => value >= 1e6 ? `${(value / 1e6).toFixed(1)} s` : `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)} ms`,
  permille: (value) => `${value / 10} %`,
};

/** The plot that the keyboard is in. */
let focused = "";
/** The slot each plot was last read at. @type {Map<string, number>} */
const read = new Map();

/** Shows the values of a slot, or of the nearest before it that has any. @param {HTMLElement} plot @param {number} slot */
function show(plot, slot) {
  const slots = Number(plot.dataset.slots);
  const at = Math.max(0, Math.min(slots - 1, slot));
  const reading = plot.querySelector("output");
  const cursor = plot.querySelector(".cursor");
  if (!reading || !cursor) return;
  read.set(plot.id, at);
  const time = new Date((Number(plot.dataset.start) + at * Number(plot.dataset.step)) * 1000);
  const words = [time.toISOString().slice(5, 19).replace("T", " ") + " UTC"];
  for (const line of /** @type {NodeListOf<SVGElement>} */ (plot.querySelectorAll("[data-values]"))) {
    const value = (line.dataset.values ?? "").split(",")[at];
    words.push(`${line.dataset.name}: ${value ? write[line.dataset.unit ?? ""]?.(Number(value)) : "not measured"}`);
  }
  reading.textContent = words.join("   ");
  const x = `${((at + 0.5) / slots) * 100}%`;
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  cursor.setAttribute("visibility", "visible");
}

/** @param {HTMLElement} plot */
function hide(plot) {
  read.delete(plot.id);
  plot.querySelector(".cursor")?.setAttribute("visibility", "hidden");
  const reading = plot.querySelector("output");
  if (reading) reading.textContent = "";
}

/** @param {EventTarget | null} target */
const plotOf = (target) => target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("figure.plot")) : null;

document.addEventListener("pointermove", (event) => {
  const plot = plotOf(event.target);
  const box = plot?.querySelector("svg[role]")?.getBoundingClientRect();
  if (plot && box) show(plot, Math.floor(((event.clientX - box.left) / box.width) * Number(plot.dataset.slots)));
});

document.addEventListener("pointerout", (event) => {
  const plot = plotOf(event.target);
  if (plot && plotOf(event.relatedTarget) !== plot && !plot.contains(document.activeElement)) hide(plot);
});

document.addEventListener("focusin", (event) => {
  focused = plotOf(event.target)?.id ?? "";
});

document.addEventListener("focusout", (event) => {
  const plot = plotOf(event.target);
  // a plot that was replaced has not been left
  setTimeout(() => {
    if (plot?.isConnected && !plot.contains(document.activeElement)) hide(plot);
  });
});

document.addEventListener("keydown", (event) => {
  const plot = plotOf(event.target);
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key];
  if (!plot || by === undefined) return;
  event.preventDefault();
  plot.querySelector("output")?.setAttribute("aria-live", "polite");
  show(plot, (read.get(plot.id) ?? Number(plot.dataset.slots)) + by);
});

/** Lets the keyboard reach every plot, and puts the cursor back into one that was replaced. */
function prepare() {
  for (const plot of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("figure.plot:not([data-ready])"))) {
    plot.dataset.ready = "";
    const drawing = /** @type {SVGElement | null} */ (plot.querySelector("svg[role]"));
    drawing?.setAttribute("tabindex", "0");
    if (focused === plot.id && document.activeElement === document.body) drawing?.focus({ preventScroll: true });
    const slot = read.get(plot.id);
    if (slot !== undefined) show(plot, slot);
  }
}

prepare();
new MutationObserver(prepare).observe(/** @type {Element} */ (document.querySelector("main")), { childList: true, subtree: true });
