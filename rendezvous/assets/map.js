/**
 * Moving about on the map: buttons, wheel and dragging change what part of the drawing shows; a click on a cell of the
 * matrix opens its pair. The drawing is the server's, and `live.js` replaces it, so the view is kept here.
 */

/** @typedef {{ x: number, y: number, width: number, height: number }} View */

/** @type {View | undefined} */
let view;
/** @type {{ x: number, y: number, from: View, moved: boolean } | undefined} */
let drag;

const graph = () => /** @type {SVGSVGElement | null} */ (/** @type {unknown} */ (document.getElementById("map-graph")));

/** All of the drawing, as the server sent it. @param {SVGSVGElement} svg @returns {View} */
function whole(svg) {
  const [x, y, width, height] = (svg.dataset.whole ?? svg.getAttribute("viewBox") ?? "").split(" ").map(Number);
  return { x, y, width, height };
}

/** @param {SVGSVGElement} svg @param {View} next */
function look(svg, next) {
  view = next;
  svg.setAttribute("viewBox", `${next.x} ${next.y} ${next.width} ${next.height}`);
}

/** Nearer or farther, around a point given as shares of what shows. @param {SVGSVGElement} svg @param {number} by @param {number} [across] @param {number} [down] */
function zoom(svg, by, across = 0.5, down = 0.5) {
  const all = whole(svg);
  const now = view ?? all;
  const width = Math.min(all.width, Math.max(all.width / 8, now.width * by));
  const height = (width * all.height) / all.width;
  look(svg, bounded(all, { x: now.x + (now.width - width) * across, y: now.y + (now.height - height) * down, width, height }));
}

/** Keeps what shows inside the drawing. @param {View} all @param {View} next */
function bounded(all, next) {
  const clamp = (/** @type {number} */ value, /** @type {number} */ from, /** @type {number} */ room) => Math.min(Math.max(value, from), from + Math.max(0, room));
  return { ...next, x: clamp(next.x, all.x, all.width - next.width), y: clamp(next.y, all.y, all.height - next.height) };
}

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const wish = /** @type {HTMLElement | null} */ (target.closest("[data-zoom]"))?.dataset.zoom;
  const svg = graph();
  if (svg && wish === "all") look(svg, whole(svg));
  else if (svg && wish) zoom(svg, wish === "in" ? 0.7 : 1 / 0.7);
  const matrix = target.closest("#map-matrix");
  if (matrix) openCell(/** @type {SVGSVGElement} */ (matrix), /** @type {MouseEvent} */ (event));
});

/** @param {SVGSVGElement} matrix @param {MouseEvent} event */
function openCell(matrix, event) {
  const turn = matrix.getScreenCTM()?.inverse();
  if (!turn) return;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(turn);
  const ids = [.../** @type {NodeListOf<SVGElement>} */ (matrix.querySelectorAll("[data-id]"))].map((name) => name.dataset.id);
  const [a, b] = [ids[Math.floor(at.y / 10)], ids[Math.floor(at.x / 10)]];
  if (a && b && a !== b) location.assign(`/pairs/${a}/${b}`);
}

document.addEventListener("wheel", (event) => {
  const svg = graph();
  // a plain wheel scrolls the page
  if (!svg || !event.ctrlKey || !svg.contains(/** @type {Node} */ (event.target))) return;
  event.preventDefault();
  const box = svg.getBoundingClientRect();
  zoom(svg, event.deltaY < 0 ? 0.85 : 1 / 0.85, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}, { passive: false });

document.addEventListener("pointerdown", (event) => {
  const svg = graph();
  if (!svg || event.button !== 0 || !svg.contains(/** @type {Node} */ (event.target))) return;
  drag = { x: event.clientX, y: event.clientY, from: view ?? whole(svg), moved: false };
});

document.addEventListener("pointermove", (event) => {
  const svg = graph();
  if (!svg || !drag) return;
  const scale = drag.from.width / svg.getBoundingClientRect().width;
  const [x, y] = [(drag.x - event.clientX) * scale, (drag.y - event.clientY) * scale];
  drag.moved ||= Math.hypot(x, y) > 6 * scale;
  if (drag.moved) look(svg, bounded(whole(svg), { ...drag.from, x: drag.from.x + x, y: drag.from.y + y }));
});

document.addEventListener("pointerup", () => {
  // after the click that a drag ends with
  setTimeout(() => { drag = undefined; });
});

// A drag that ends on a link has not clicked it, and a browser's own dragging of links is not ours.
document.addEventListener("click", (event) => {
  if (drag?.moved) event.preventDefault();
}, true);
document.addEventListener("dragstart", (event) => {
  if (graph()?.contains(/** @type {Node} */ (event.target))) event.preventDefault();
});

/** Shows the buttons, and the same part as before in a drawing that was replaced. */
function prepare() {
  const svg = graph();
  if (!svg || svg.dataset.whole) return;
  svg.dataset.whole = svg.getAttribute("viewBox") ?? "";
  const tools = /** @type {HTMLElement | null} */ (document.querySelector(".map-tools"));
  if (tools) tools.hidden = false;
  if (view) look(svg, view);
}

prepare();
new MutationObserver(prepare).observe(/** @type {Element} */ (document.querySelector("main")), { childList: true, subtree: true });
