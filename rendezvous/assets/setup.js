/**
 * Moves the one-time token from the link's fragment into the form, and out of the address bar and the history.
 *
 * A fragment never reaches a server's log or a Referer header; without this module the person pastes the link instead.
 */

const field = /** @type {HTMLInputElement | null} */ (document.getElementById("link"));
const token = location.hash.slice(1);

if (field && token) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
  const asked = document.getElementById("link-asked");
  const taken = document.getElementById("link-taken");
  if (asked && taken) {
    asked.hidden = true;
    taken.hidden = false;
  }
  document.getElementById("name")?.focus();
}
