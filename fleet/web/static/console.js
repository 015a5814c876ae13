// What the pages need beside htmx: a word about a connection that is lost, the place of the reader after a page was changed, and
// a question before what cannot be taken back.
const lost = () => document.getElementById("lost");
const show = (visible) => {
  if (lost()) lost().hidden = !visible;
};

// The page stays as it is, with all that was typed; the live parts try again by themselves, a form when its button is pressed again.
document.addEventListener("htmx:sendError", () => show(true));
document.addEventListener("htmx:timeout", () => show(true));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr?.status) show(event.detail.xhr.status === 503);
  // Said by what keeps itself up to date, also when nothing changed.
  const time = event.detail.xhr?.getResponseHeader("Lifecert-Time");
  if (time && document.getElementById("updated")) document.getElementById("updated").textContent = time;
});

// A page put in place of another one is read from its heading on, as a loaded one would be.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target === document.body) {
    (document.querySelector("[data-focus]") ?? document.querySelector("h1"))?.focus();
  }
});

document.addEventListener("htmx:confirm", (event) => {
  const question = event.detail.elt.dataset.confirm;
  if (!question) return;
  event.preventDefault();
  if (window.confirm(question)) event.detail.issueRequest(true);
});
