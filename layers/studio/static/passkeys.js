// Passkeys: the browser's own window makes one or answers with one; its result goes into the form, which is then sent.

const able = typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** The options for signing in: the same for everybody, with a challenge that is good once. */
async function logInOptions() {
  const answer = await fetch("/api/auth/passkeys/login/options", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  if (!answer.ok) throw new Error(`options: ${answer.status}`);
  return (await answer.json()).data;
}

async function credentialFor(form) {
  if (form.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.options));
    return navigator.credentials.create({ publicKey });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await logInOptions());
  return navigator.credentials.get({ publicKey });
}

for (const form of able ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  for (const text of document.querySelectorAll("[data-unable]")) text.hidden = true;
  // In the capturing phase, so that the page's own listener does not take the form for one that was sent already.
  form.addEventListener("submit", async event => {
    const field = form.elements.namedItem("secret_credential");
    if (field.value) return;
    event.preventDefault();
    event.stopPropagation();
    const failed = form.querySelector("[data-failed]");
    failed.hidden = true;
    try {
      field.value = JSON.stringify((await credentialFor(form)).toJSON());
    } catch {
      // The person closed the window, the device has no passkey for us, or there is no network.
      failed.hidden = false;
      return;
    }
    form.requestSubmit();
  }, { capture: true });
  addEventListener("pageshow", () => { form.elements.namedItem("secret_credential").value = ""; });
}
