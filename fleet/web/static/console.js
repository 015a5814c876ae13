// What the pages need beside htmx: a word about a connection or a session that is lost, the place of the reader after a page was
// changed, single keys, and that nothing is sent twice.
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

// What came of something is read first, also where it took so long that its page was loaded at the end; nobody is taken from a field.
if (document.activeElement === document.body) document.querySelector("[data-focus]")?.focus();

// A page put in place of another one is read from its heading on, as a loaded one would be.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target === document.body) {
    (document.querySelector("[data-focus]") ?? document.querySelector("h1"))?.focus();
  }
});

// A live part of the page learned that nobody is signed in any more; what is being typed stays, and is kept when it is sent.
document.body.addEventListener("signed-out", () => {
  const ended = document.getElementById("ended");
  if (ended) ended.hidden = false;
});

// htmx sends a form once; one that it does not send is held back for as long as its answer may take to come.
const SENT_MS = 5000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.closest("[hx-boost]")?.getAttribute("hx-boost") !== "false") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, SENT_MS);
});

// What is folded on a narrow screen alone (`.fold`): a browser that cannot have it open on a wide one by style has it opened here.
const unfold = () => {
  if (CSS.supports("selector(::details-content)") || matchMedia("(max-width: 40rem)").matches) return;
  for (const fold of document.querySelectorAll("details.fold")) fold.open = true;
};
unfold();
document.addEventListener("htmx:afterSettle", unfold);

// Parts that a few pages need only.
const prepare = async () => {
  for (const part of document.querySelectorAll("[data-module]")) (await import(part.dataset.module)).prepare(part);
};
prepare();
document.addEventListener("htmx:afterSettle", prepare);

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-print]")) window.print();
});

// "?" opens the help, "/" goes to the search; not while somebody types, and only where the page says that keys are on (WCAG 2.1, 2.1.4).
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (!document.querySelector("main[data-shortcuts]") || event.target.closest?.("input, select, textarea, [contenteditable]")) return;
  if (event.key === "?") {
    const help = document.querySelector("details.help");
    if (!help) return;
    help.open = !help.open;
    help.querySelector("summary").focus();
  } else if (event.key === "/") {
    const search = document.querySelector("[role=search] input:not([type=hidden]), input[type=search]");
    if (!search) return;
    search.closest("details.fold")?.setAttribute("open", "");
    search.focus();
  } else return;
  event.preventDefault();
});
