// Shows the newest view of the terminal and sends back what is touched. It decides nothing and keeps nothing.

import { bring, h, moveFocus } from "./dom.js";
import { commissioning } from "./check.js";
import * as pages from "./pages.js";
import * as staff from "./staff.js";
import { nothingTyped } from "./pad.js";
import { fetchWords, wordsOf } from "./words.js";

const SHOWN_MS = 10_000;
/** The terminal speaks every 3 s, if only to say that it is there. */
const SILENCE_MS = 10_000;
/** And hears as often that the page is, which a page that hangs does not say. */
const HERE_MS = 2500;
const AGAIN_MS = [300, 700, 1500];
/** A finger that comes down twice meant it once, and must not answer the next question, too. */
const SETTLING_MS = 350;
const PICTURE_AGAIN_MS = 1000;
const STAY_MS = 10_000;
/** So long without a touch or a key, and a number on the screen of whoever wants to be certified is covered; it is not lost. */
const NUMBER_SHOWN_MS = 10_000;
/** Their values are choices that the page itself offered; any other value was typed or says who somebody is. */
const COMPARED = new Set(["task", "choose", "language", "speed", "stick", "answer"]);
const TYPED = new Set(["number", "sign_in", "step"]);
const PROGRAM = ["/", ...["app", "check", "dom", "pad", "pages", "staff", "words"].map((name) => `/static/${name}.js`), "/static/style.css"];

const PAGES = {
  starting: pages.starting,
  idle: pages.idle,
  number: pages.number,
  session: pages.session,
  result: pages.result,
  working: pages.working,
  slip: pages.slip,
  my_status: pages.myStatus,
  out_of_order: pages.outOfOrder,
  sign_in: staff.signIn,
  menu: staff.menu,
  step: staff.step,
  done: staff.done,
  status: staff.status,
  commissioning,
};
const PASSING = new Set(["result", "slip", "done"]);
const COVER = { screen: "covered", language: "zh", is_slow: false };

const main = document.getElementById("page");
const bar = document.getElementById("bar");
const said = document.getElementById("said");

let view = null;
let shown = "";
let clearing = null;
let settling = null;
let hiding = null;
let pending = null;
let program = null;
/** What is shown for its time only, and since when: told again, it gets no more time, and none after it. */
let passing = { content: null, since: 0 };
let lastTouch = { what: null, at: 0 };

function fresh() {
  return { typed: nothingTyped(), mode: null, search: "", isSearching: false, more: 0, page: 0, hushed: false, isLineOver: false, isHidden: false };
}

const ui = {
  local: fresh(),
  nothing: nothingTyped,
  onType: null,
  onEnter: null,
  pictureNumber: 0,
  photoNumber: Date.now(),
  /** Change what only the page knows, and draw. */
  set(changes) {
    Object.assign(ui.local, changes);
    draw();
  },
  /** Change it without drawing. */
  keep(changes) {
    Object.assign(ui.local, changes);
  },
  /** Send what was typed; should the terminal not be able to read it, it is there again to be put right. */
  submit(kind, value) {
    pending = view.screen === "number" ? ui.local.typed : null;
    ui.set({ hushed: false });
    ui.touch(kind, value);
  },
  take() {
    ui.photoNumber += 1;
    ui.set({ hushed: false });
    ui.touch("take");
  },
  touch(kind, value = "") {
    // Of a PIN, a number or a name nothing is kept to compare with; a witness is "chosen" by number and PIN.
    const isTyped = !COMPARED.has(kind) || (kind === "choose" && value.includes("/"));
    const what = isTyped ? kind : `${kind} ${value}`;
    const at = performance.now();
    if (lastTouch.what === what && at - lastTouch.at < SETTLING_MS) return;
    lastTouch = { what, at };
    // Whoever does not answer is missed by the stream of views; a touch is never sent twice.
    fetch("/touch", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind, value }) }).catch(() => {});
  },
  pictureFailed() {
    setTimeout(() => {
      ui.pictureNumber += 1;
      draw();
    }, PICTURE_AGAIN_MS);
  },
};

/** What makes a page another one: everything typed and all elements of the one before go. */
function pageOf({ screen, task, step, operator, slip, commissioning: check }) {
  return JSON.stringify([screen, task, step, Boolean(operator), slip, check && [check.state, check.question]]);
}

function contentOf({ screen, slip, task }) {
  return JSON.stringify([screen, slip, task]);
}

function take(found) {
  if (PASSING.has(found.screen)) {
    if (passing.content === contentOf(found) && timeLeft() <= 0) return;
  } else {
    passing = { content: null, since: 0 };
  }
  const isAnother = view === null || pageOf(found) !== pageOf(view);
  if (found.photo?.state === "taken" && view?.photo?.state !== "taken") ui.photoNumber += 1;
  if (found.has_picture && !view?.has_picture) ui.pictureNumber += 1;
  const hasSpoken = found.line !== view?.line;
  view = found;
  if (isAnother) begin();
  if (hasSpoken) ui.local.isLineOver = false;
  if (isAnother || (found.screen === "idle" && hasSpoken)) watchTime();
  if (isAnother) watchNumber();
  draw();
}

/** A fault of this page is told to whoever looks for one, and shows nothing about anybody. */
function takeSafely(found) {
  try {
    take(found);
  } catch (error) {
    reportError(error);
    cover(found.language);
  }
  // For whoever watches the page from outside: how many views have come to it.
  document.body.dataset.taken = Number(document.body.dataset.taken ?? 0) + 1;
}

/** Begin a page: with nothing typed, except a number that could not be read. */
function begin() {
  ui.local = fresh();
  if (view.screen === "number" && view.problem && pending) ui.local.typed = pending;
  if (view.screen !== "working") pending = null;
}

/** Nothing about a person stays longer than 10 s, even if the terminal were silent. */
function watchTime() {
  clearTimeout(clearing);
  if (PASSING.has(view.screen)) {
    ui.photoNumber += 1;
    if (passing.content !== contentOf(view)) passing = { content: contentOf(view), since: performance.now() };
    clearing = setTimeout(() => cover(view.language), timeLeft());
  } else if (view.screen === "idle") {
    clearing = setTimeout(() => ui.set({ isLineOver: true }), SHOWN_MS);
  }
}

/** Cover what was typed once nobody touches it, and show it again to whoever does. */
function watchNumber() {
  clearTimeout(hiding);
  if (view?.screen !== "number") return;
  hiding = setTimeout(() => ui.set({ isHidden: true }), NUMBER_SHOWN_MS);
  if (ui.local.isHidden) ui.set({ isHidden: false });
}

function timeLeft() {
  return passing.since + SHOWN_MS - performance.now();
}

/** Show nothing about anybody until the terminal says something new. */
function cover(language = "zh") {
  clearTimeout(clearing);
  clearTimeout(hiding);
  pending = null;
  view = { ...COVER, language };
  ui.local = fresh();
  shown = "";
  draw();
}

function draw() {
  if (view === null) return;
  const w = wordsOf(view.language);
  document.documentElement.lang = w.tag;
  document.title = w("page", "title");
  ui.onType = null;
  ui.onEnter = null;
  const page = (PAGES[view.screen] ?? pages.covered)(view, w, ui);
  const now = pageOf(view);
  const text = view.problem && !ui.local.hushed ? w.problem(view.problem) : page.said;
  if (said.textContent !== text) said.textContent = text;
  const wantedMain = h("main", { id: "page", class: `of-${view.screen}` }, page.main);
  const wantedBar = barOf(page, w);
  if (now === shown) {
    bring(main, wantedMain);
    bring(bar, wantedBar);
    return;
  }
  shown = now;
  endPictures();
  main.className = wantedMain.className;
  main.replaceChildren(...wantedMain.childNodes);
  bar.className = wantedBar.className;
  bar.replaceChildren(...wantedBar.childNodes);
  settle();
  (document.querySelector("[data-focus]") ?? document.querySelector("h1"))?.focus({ preventScroll: true });
}

function barOf(page, w) {
  const isEnglish = view.language === "en";
  const language = pages.button(w("button", "other_language"), () => ui.touch("language", isEnglish ? "zh" : "en"), {
    classes: ".switch",
    key: "language",
    lang: isEnglish ? "zh-CN" : "en-GB",
  });
  const slow = pages.button(w("button", "slow"), () => ui.touch("speed", view.is_slow ? "normal" : "slow"), {
    classes: ".switch",
    key: "slow",
    "aria-pressed": String(view.is_slow),
  });
  const middle = h("p.middle", { "data-key": "middle" }, (page.middle ?? []).filter(Boolean).map((line) => h("span", {}, line)));
  return h("nav", { id: "bar" }, page.is_bare ? null : [language, slow], middle, page.buttons);
}

/** A picture that is taken off the page is loaded on unless its address goes, too. */
function endPictures() {
  main.querySelectorAll("img").forEach((image) => {
    image.onerror = null;
    image.removeAttribute("src");
  });
}

function settle() {
  document.body.classList.add("settling");
  clearTimeout(settling);
  settling = setTimeout(() => document.body.classList.remove("settling"), SETTLING_MS);
}

document.addEventListener("pointerdown", () => document.body.classList.remove("by-keys"));
document.addEventListener("keydown", (event) => {
  document.body.classList.add("by-keys");
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const isInput = event.target instanceof HTMLInputElement;
  const isButton = event.target instanceof HTMLButtonElement;
  if (event.key === "Escape") {
    document.querySelector("[data-escape]")?.click();
  } else if (event.key.startsWith("Arrow") && !(isInput && /Left|Right/.test(event.key))) {
    moveFocus(event.key);
  } else if (event.key === "Enter" && !isButton) {
    ui.onEnter?.();
  } else if (isInput) {
    return;
  } else if (event.key === "Backspace") {
    ui.onType?.("delete");
  } else if (/^[0-9A-Za-z-]$/.test(event.key)) {
    ui.onType?.(event.key.toUpperCase());
  } else {
    return;
  }
  event.preventDefault();
});
// A finger on a key leaves the focus in the field, where Enter means what it says.
document.addEventListener("mousedown", (event) => {
  if (event.target.closest?.(".key")) event.preventDefault();
});
let stayedAt = -Infinity;

/** Nothing typed is sent before the end: that somebody is there is, or a slow hand would be taken for one that is gone. */
function stay() {
  if (!TYPED.has(view?.screen) || performance.now() - stayedAt < STAY_MS) return;
  stayedAt = performance.now();
  ui.touch("stay");
}

document.addEventListener("click", (event) => event.target.closest?.(".key") && stay());
document.addEventListener("keydown", stay);
for (const name of ["click", "keydown"]) document.addEventListener(name, watchNumber);
document.addEventListener("input", stay);
for (const name of ["contextmenu", "dragstart"]) document.addEventListener(name, (event) => event.preventDefault());
// Should a browser keep pages it has left, it keeps an empty one.
addEventListener("pagehide", () => cover());

/** The program as it is now; another one than at the start is there after an update. */
async function programNow() {
  const answers = await Promise.all(PROGRAM.map((path) => fetch(path)));
  if (!answers.every((answer) => answer.ok)) throw new Error("no program");
  return (await Promise.all(answers.map((answer) => answer.text()))).join("\n");
}

/**
 * Follow the terminal until it is no longer heard of.
 *
 * Not an EventSource: it does not show its page the heartbeats, so a terminal that hangs could not be told from one with nothing to say.
 */
async function follow() {
  const ending = new AbortController();
  let silence = null;
  let saidAt = -Infinity;
  const heard = () => {
    if (performance.now() - saidAt >= HERE_MS) {
      saidAt = performance.now();
      fetch("/here", { method: "POST", signal: ending.signal }).catch(() => {});
    }
    clearTimeout(silence);
    silence = setTimeout(() => ending.abort(), SILENCE_MS);
  };
  heard();
  try {
    const answer = await fetch("/events", { signal: ending.signal });
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) if (event.startsWith("data: ")) takeSafely(JSON.parse(event.slice(6)));
    }
  } finally {
    clearTimeout(silence);
    ending.abort();
  }
}

function pause(tries) {
  return new Promise((go) => setTimeout(go, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]));
}

for (let tries = 0; ; tries += 1) {
  try {
    await fetchWords();
    const found = await programNow();
    if (program !== null && found !== program) {
      location.reload();
      break;
    }
    program = found;
    tries = 0;
    await follow();
  } catch {
    // The terminal is not there, or went away in the middle: said below, tried again.
  }
  if (view !== null) cover(view.language);
  await pause(tries);
}
