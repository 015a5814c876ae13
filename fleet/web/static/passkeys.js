// Passkeys: asks the server what to ask for, the browser for the passkey, and sends the form with the answer.
const can = () =>
  Boolean(
    window.PublicKeyCredential?.parseRequestOptionsFromJSON &&
      window.PublicKeyCredential.parseCreationOptionsFromJSON &&
      window.PublicKeyCredential.prototype.toJSON,
  );

const say = (part, name, text) => {
  for (const line of part.querySelectorAll("[data-passkey-says]")) {
    line.hidden = line.dataset.passkeySays !== name;
    if (!line.hidden && text !== undefined) line.textContent = text;
  }
};

// Shows the button where it works, and why it is not there where it does not.
export const prepare = (part) => {
  part.querySelector("[data-passkey]").hidden = !can();
  if (!can()) say(part, "missing");
};

const REASONS = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known", SecurityError: "address" };

const answerOf = async (kind, options) => {
  const found =
    kind === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  return JSON.stringify(found.toJSON());
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-passkey]");
  if (!button || button.disabled) return;
  const { form } = button;
  const part = button.closest(".passkey");
  const { action, passkey: kind } = button.dataset;
  say(part, "");
  button.disabled = true;
  try {
    // Nothing that was typed goes along but what names the sign-in.
    const sent = new URLSearchParams();
    for (const name of ["form_token", "pending"]) if (form.elements[name]) sent.set(name, form.elements[name].value);
    const answer = await fetch(`${action}/options`, { method: "POST", body: sent });
    if (!answer.headers.get("content-type")?.startsWith("application/json")) return say(part, "failed");
    const { options, problem } = await answer.json();
    if (problem) return say(part, "problem", problem);
    form.elements.answer.value = await answerOf(kind, options);
    for (const field of form.querySelectorAll("[type=password]")) field.value = "";
    form.action = action;
    form.submit();
  } catch (error) {
    say(part, REASONS[error.name] ?? "failed");
  } finally {
    button.disabled = false;
  }
});
