/**
 * Passkeys: has the browser make one or sign with one, and posts what came of it as a form like any other.
 *
 * The forms are hidden until this module has found that the browser knows passkeys. On the sign-in page the browser also
 * offers them where the name is typed.
 */

/** @param {string} text base64url */
function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

/** @param {ArrayBuffer | null} buffer */
function base64url(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer ?? new ArrayBuffer(0)));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** A challenge that is good once. @param {HTMLFormElement} form */
async function challenge(form) {
  const form_token = String(new FormData(form).get("form_token"));
  const answer = await fetch(form.dataset.challenge ?? "", { method: "POST", body: new URLSearchParams({ form_token }) });
  if (!answer.ok) throw new Error(answer.status === 429 ? "Too many attempts. Wait a minute and try again." : "The server did not answer as it should. Reload the page.");
  return bytes(await answer.text());
}

/** @param {HTMLFormElement} form @param {Record<string, string>} fields */
function post(form, fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    form.append(field);
  }
  form.submit();
}

/** @param {HTMLFormElement} form @param {unknown} error */
function tell(form, error) {
  const words = /** @type {HTMLElement | null} */ (form.querySelector("[data-words]"));
  if (!words) return;
  const { name, message } = /** @type {Error} */ (error);
  words.hidden = false;
  words.textContent = name === "NotAllowedError" ? "Nothing was done: it was cancelled, or took too long."
    : name === "InvalidStateError" ? "This device has a passkey for your account already." : message;
}

/** @param {HTMLFormElement} form */
async function add(form) {
  const { user = "", userName = "", algorithms = "", known = "" } = form.dataset;
  const ids = known.split(" ").filter(Boolean);
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.create({ publicKey: {
    challenge: await challenge(form),
    rp: { name: "Warren" },
    user: { id: bytes(user), name: userName, displayName: userName },
    pubKeyCredParams: algorithms.split(" ").map((alg) => ({ type: "public-key", alg: Number(alg) })),
    excludeCredentials: ids.map((id) => ({ type: "public-key", id: bytes(id) })),
    authenticatorSelection: { residentKey: "required", userVerification: "required" },
    attestation: "none",
  } }));
  const response = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  post(form, {
    id: base64url(made.rawId),
    client_data: base64url(response.clientDataJSON),
    authenticator_data: base64url(response.getAuthenticatorData()),
    public_key: base64url(response.getPublicKey()),
    algorithm: String(response.getPublicKeyAlgorithm()),
  });
}

/** @param {HTMLFormElement} form @param {CredentialRequestOptions} how */
async function signIn(form, how) {
  const publicKey = { challenge: await challenge(form), userVerification: /** @type {const} */ ("required") };
  const used = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ ...how, publicKey }));
  const response = /** @type {AuthenticatorAssertionResponse} */ (used.response);
  post(form, {
    id: base64url(used.rawId),
    user_handle: base64url(response.userHandle),
    client_data: base64url(response.clientDataJSON),
    authenticator_data: base64url(response.authenticatorData),
    signature: base64url(response.signature),
  });
}

/** @param {HTMLFormElement} form */
async function offer(form) {
  let waiting = new AbortController();
  form.querySelector("[data-start]")?.addEventListener("click", () => {
    waiting.abort();
    signIn(form, {}).catch((error) => tell(form, error));
  });
  // an offer that nobody takes is no error
  if (await PublicKeyCredential.isConditionalMediationAvailable?.()) {
    signIn(form, { mediation: "conditional", signal: waiting.signal }).catch(() => {});
  }
}

const adding = /** @type {HTMLFormElement | null} */ (document.getElementById("passkey-add"));
const signingIn = /** @type {HTMLFormElement | null} */ (document.getElementById("passkey-sign-in"));
if (window.PublicKeyCredential) {
  if (adding) {
    adding.hidden = false;
    adding.addEventListener("submit", (event) => {
      event.preventDefault();
      add(adding).catch((error) => tell(adding, error));
    });
  }
  if (signingIn) {
    signingIn.hidden = false;
    offer(signingIn);
  }
}
