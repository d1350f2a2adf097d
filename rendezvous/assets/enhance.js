/**
 * Small comforts on top of pages that work without them: copy buttons and confirmations in a dialog.
 *
 * A copy button is hidden until this module shows it. A link with `data-dialog` leads to a confirmation page; here it
 * opens the same question as a dialog instead.
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
