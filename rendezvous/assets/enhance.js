/**
 * Small comforts on top of pages that work without them: copy buttons, confirmations in a dialog, filters that need no
 * button, a bar for what is selected, and keys.
 *
 * A copy button is hidden until this module shows it. A link with `data-dialog` leads to a confirmation page; here it
 * opens the same question as a dialog instead. A link with `data-key` is reached by `g` and that key.
 */

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const source = document.getElementById(button.dataset.copy ?? "");
  const words = button.querySelector("[data-words]");
  if (!source || !words) return;
  const text = (source.textContent ?? "").trim();
  let answer = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Refused, or a page without TLS: select it, so that the keyboard can copy.
    getSelection()?.selectAllChildren(source);
    answer = "Selected";
  }
  words.textContent = answer;
  setTimeout(() => { words.textContent = "Copy"; }, 2_000);
}

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-copy]"))) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("a[data-dialog]"))) {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById(link.dataset.dialog ?? ""));
  if (!dialog) continue;
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
  });
  for (const close of dialog.querySelectorAll("[data-close]")) {
    close.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
}

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-submit-on-change]"))) {
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-without-script]"))) button.hidden = true;
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
  // what asks for nothing does not stand in the URL
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });
}

const bulk = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-bulk]"));
if (bulk) {
  const boxes = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("input[name=device][form=bulk]")]);
  const words = /** @type {HTMLElement} */ (bulk.querySelector("[data-count]"));
  const count = () => {
    const all = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-select-all]"));
    const selected = boxes().filter((box) => box.checked).length;
    bulk.hidden = selected === 0;
    words.textContent = `${selected} selected`;
    if (all) {
      all.hidden = boxes().length === 0;
      all.checked = selected > 0 && selected === boxes().length;
      all.indeterminate = selected > 0 && !all.checked;
    }
  };
  document.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    if (target.matches("[data-select-all]")) for (const box of boxes()) box.checked = target.checked;
    count();
  });
  document.addEventListener("patched", count);
  count();
}

const help = /** @type {HTMLDialogElement | null} */ (document.getElementById("keys-help"));
let lastKey = "";
let lastKeyAt = 0;
document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
  const isSecond = lastKey === "g" && Date.now() - lastKeyAt < 1_500;
  lastKey = event.key;
  lastKeyAt = Date.now();
  const search = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-search]"));
  const link = isSecond && /^[a-z]$/.test(event.key) ? document.querySelector(`a[data-key="${event.key}"]`) : null;
  if (link instanceof HTMLAnchorElement) link.click();
  else if (event.key === "/" && search) search.select();
  else if (event.key === "?" && help) help.showModal();
  else return;
  event.preventDefault();
});
