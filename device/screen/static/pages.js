// The pages of somebody who wants to be certified. Each returns what it says, its main part, and its buttons in the bar.

import { h } from "./dom.js";
import { field, grouped, keys, nothingTyped, type } from "./pad.js";

export const KINDS = [
  "resident_id",
  "hk_macao_permit",
  "taiwan_permit",
  "residence_permit",
  "passport",
  "foreign_permanent_residence",
];
const STATE_LETTERS = 3;
const STANDINGS = { certified: "green", due: "blue", expiring: "amber", overdue: "amber", never_certified: "amber", unknown: "grey" };
const MOST_REASONS = 2;
const COLOURS = { certified: "green", review: "blue", time_uncertain: "blue", cancelled: "grey" };
/** Of the lines, what an idle terminal may say to whoever comes or has just presented something; an outcome of the session before never. */
const SAID_WHEN_IDLE = new Set([
  "present_card",
  "claim_unreadable",
  "not_ready",
  "power_failing",
  "roster_expired",
  "offline_limit",
  "card_garbled",
  "card_foreign",
  "card_expired",
  "card_revoked",
  "card_of_another",
  "button_stuck",
]);

/** A button; `of` may hold `classes`, `key`, `is_off` and any attribute. */
export function button(label, onclick, { classes = "", key = label, is_off = false, ...of } = {}) {
  return h(`button${classes}`, { type: "button", "data-key": key, disabled: is_off, onclick, ...of }, label);
}

/** The page's main line, or what did not work, until the next key. */
export function headline(view, w, ui, text) {
  return isProblemShown(view, ui)
    ? h("p.problem", { "data-key": "problem" }, w.problem(view.problem))
    : h("h1", { "data-key": "headline", tabindex: "-1" }, text);
}

export function isProblemShown(view, ui) {
  return Boolean(view.problem) && !ui.local.hushed;
}

function plain(symbol, text, more = null) {
  return h("div.plain", {}, symbol && h("img.symbol", { src: `/static/${symbol}.svg`, alt: "" }), h("h1", { tabindex: "-1" }, text), more);
}

function repeatButton(w, ui) {
  return button(w("button", "repeat"), () => ui.touch("repeat"), { classes: ".big", key: "repeat" });
}

function cancelButton(w, ui) {
  return button(w("button", "cancel"), () => ui.touch("cancel"), { classes: ".big.cancel", key: "cancel", "data-escape": true });
}

function staffButton(w, ui) {
  return button(w("button", "staff"), () => ui.touch("sign_in"), { classes: ".quiet", key: "staff" });
}

/** Nothing about anybody: the terminal is not heard of, or says nothing new about a result that has been read. */
export function covered(view, w) {
  return { said: "", main: plain("wait", w("page", "covered")), buttons: [], is_bare: true };
}

export function starting(view, w) {
  const text = w("page", "starting");
  return { said: text, main: plain("wait", text), buttons: [] };
}

export function working(view, w) {
  const text = w("page", "working");
  return { said: text, main: plain("wait", text), buttons: [] };
}

export function outOfOrder(view, w, ui) {
  // A terminal that has been erased: nobody signs in there any more.
  if (view.problem) return { said: w.problem(view.problem), main: plain("ask", w.problem(view.problem)), buttons: [] };
  const text = view.is_identifying ? w("page", "here") : w.line("out_of_order");
  return { said: text, main: plain("ask", text), buttons: [staffButton(w, ui)] };
}

export function idle(view, w, ui) {
  const special = SAID_WHEN_IDLE.has(view.line) && !ui.local.isLineOver;
  const text = view.is_identifying ? w("page", "here") : w.line(special ? view.line : "welcome");
  const begin = button(w("button", "begin"), () => ui.touch("begin"), { classes: ".primary.begin", key: "begin", "data-focus": true });
  const ask = button(w("button", "ask"), () => ui.touch("ask"), { classes: ".ask", key: "ask" });
  const counts = view.counts && !special && h("p.counts", {}, w("page", "counts", view.counts));
  const main = h("div.idle", {}, h("h1", { tabindex: "-1" }, text), h("div.ways", {}, begin, ask), counts);
  return { said: text, main, buttons: [repeatButton(w, ui), staffButton(w, ui)] };
}

export function session(view, w, ui) {
  const text = w.line(view.line ?? "one_moment");
  const picture = view.has_picture && livePicture(w, ui, "oval");
  const action = view.action && animation(view.action, text);
  const layout = view.action ? ".acting" : view.has_picture ? ".looking" : ".waiting";
  const pair = (picture || action) && h("div.pair", { "data-key": "pair" }, picture, action);
  const main = h(`div.session${layout}`, {}, h("h1", { tabindex: "-1", "data-key": "line" }, text), pair);
  return { said: text, main, buttons: [repeatButton(w, ui), cancelButton(w, ui)] };
}

/** The live picture, already mirrored; `shape` is `oval` where a face belongs into it, `whole` otherwise. */
export function livePicture(w, ui, shape) {
  return h(
    `div.picture.${shape}`,
    { "data-key": "picture" },
    h("img", { src: `/picture.mjpg?n=${ui.pictureNumber}`, alt: w("page", "picture"), onerror: ui.pictureFailed }),
  );
}

function animation(action, text) {
  return h(
    "picture.action",
    { "data-key": `action ${action}` },
    h("source", { media: "(prefers-reduced-motion: reduce)", srcset: `/static/${action}_still.svg` }),
    h("img", { src: `/static/${action}.svg`, alt: text }),
  );
}

export function result(view, w, ui) {
  const found = view.result;
  // An attack is shown like any other that was not certified: nobody is shamed before the others in the queue.
  const said = found?.outcome ?? view.line ?? "one_moment";
  const outcome = said === "presentation_attack" ? "not_certified" : said;
  if (!w.has("outcome", outcome)) return working(view, w);
  const colour = COLOURS[outcome] ?? "amber";
  // Before a gap is over or a window opens: certified, and from when and by when the next one counts.
  const isEarly = Boolean(found?.is_early);
  const from = isEarly && found.next_from && w.day("next_from", found.next_from);
  const until = found?.until && w.day(isEarly ? "by" : "until", found.until);
  const next = from ? null : w("next", outcome);
  const words = h(
    "div.words",
    {},
    h("div.top", {}, h("img.symbol", { src: `/static/${colour}.svg`, alt: "" }), h("h1", { tabindex: "-1" }, w("outcome", outcome))),
    from && h("p.until", {}, from),
    until && h("p.until", {}, until),
    next && h("p.next", {}, next),
  );
  const slip = found?.slip && h("figure.slip", {}, h("img", { src: `/slip.svg?n=${ui.photoNumber}`, alt: w("page", "slip_code") }), h("figcaption", {}, w("page", "slip_code")));
  const texts = [w("outcome", outcome), from, until, next].filter(Boolean);
  return { said: texts.join(w.tag.startsWith("zh") ? "，" : ". "), main: h(`div.result.${colour}`, {}, words, slip), buttons: [repeatButton(w, ui)] };
}

export function slip(view, w, ui) {
  const found = view.slip;
  const outcome = found?.outcome === "presentation_attack" ? "not_certified" : found?.outcome;
  const text = found ? w.verdict(found.verdict) : w("page", "covered");
  const more = [outcome && w("outcome", outcome), found?.until && w.day("until", found.until)].filter(Boolean);
  const main = h("div.plain", {}, h("h1", { tabindex: "-1" }, text), more.map((one) => h("p.until", {}, one)));
  const finish = button(w("button", "finish"), () => ui.touch("back"), { classes: ".big", key: "finish", "data-escape": true, "data-focus": true });
  return { said: [text, ...more].join(" "), main, buttons: [finish] };
}

/** How somebody stands who asked; nobody's name. */
export function myStatus(view, w, ui) {
  const found = view.my_status;
  if (!found) return covered(view, w);
  const isValid = found.state === "certified";
  const text = w("my_status", found.state);
  const until = found.due && w.day({ certified: "until", overdue: "was_due" }[found.state] ?? "by", found.due);
  const from = found.next_from && w.day("next_from", found.next_from);
  const dates = (isValid ? [until, from] : [from, until]).filter(Boolean);
  const reasons = found.packs.slice(0, MOST_REASONS).map((pack) => w("page", "reason", { title: w.title(pack), cycle: w.cycle(pack) }));
  if (found.packs.length > MOST_REASONS) reasons[MOST_REASONS - 1] += ` ${w("page", "more_reasons", { count: found.packs.length - MOST_REASONS })}`;
  const foot = [found.as_of && w.day("as_of", found.as_of), w("page", "help_line", { number: found.help_line })].filter(Boolean);
  const certify = !isValid && found.state !== "unknown" && button(w("button", "certify_now"), () => ui.touch("begin"), { classes: ".primary.certify", key: "certify" });
  const main = h(
    `div.standing.${STANDINGS[found.state]}`,
    {},
    h(
      "div.top",
      {},
      h("img.symbol", { src: `/static/${STANDINGS[found.state]}.svg`, alt: "" }),
      h("div.head", {}, h("h1", { tabindex: "-1" }, text), dates.map((one) => h("p.until", {}, one))),
      certify,
    ),
    reasons.length > 0 && h("ul.reasons", {}, reasons.map((one) => h("li", {}, one))),
    h("p.foot", {}, foot.map((one) => h("span", {}, one))),
  );
  const finish = button(w("button", "finish"), () => ui.touch("back"), { classes: ".big", key: "finish", "data-escape": true, "data-focus": true });
  return { said: [text, ...dates, ...reasons, ...foot].join(" "), main, buttons: [repeatButton(w, ui), finish] };
}

export function number(view, w, ui) {
  const title = w("page", view.is_asking ? "ask_number" : "number");
  const entry = numberEntry(view, w, ui, title);
  return { said: title, ...entry, buttons: [repeatButton(w, ui), cancelButton(w, ui)] };
}

/**
 * A document's number: its kind, the number, and for a passport the state.
 *
 * @param {Node} [more] a button beside the kind, for a page that offers another way.
 */
export function numberEntry(view, w, ui, title, more = null) {
  const typed = ui.local.typed;
  if (typed.isChoosingKind) return { main: kindChoice(w, ui) };
  const kind = typed.kind ?? "resident_id";
  const isPassport = kind === "passport";
  const active = isPassport ? (typed.field ?? "state") : "number";
  const text = typed.fields.number ?? "";
  const state = typed.fields.state ?? "";
  const isComplete = text.length > 0 && (!isPassport || state.length > 0);
  const send = () => {
    if (!isComplete) return;
    const prefix = typed.kind === null ? "" : `${kind}:${isPassport ? `${state}:` : ""}`;
    ui.submit("number", prefix + text);
  };
  const onKey = (key) => {
    if (active === "state" && !/^([A-Z]|delete)$/.test(key)) return;
    let after = type(typed, active, key, active === "state" ? STATE_LETTERS : undefined);
    if (active === "state" && after.fields.state.length === STATE_LETTERS && key !== "delete") {
      after = { ...after, field: "number", isLetters: false };
    }
    ui.set({ typed: after, hushed: true });
  };
  const toField = (name) => () => ui.set({ typed: { ...typed, field: name, isLetters: name === "state" } });
  const isHidden = ui.local.isHidden && text + state !== "";
  const seen = (typedText) => (isHidden ? "*".repeat(typedText.length) : typedText);
  const spoken = (typedText) => (isHidden ? w("page", "hidden") : [...typedText].join(" "));
  const label = w("page", isHidden ? "hidden" : "entry");
  const fields = [
    isPassport && entryField(w("page", "state"), seen(state), spoken(state), active === "state", toField("state"), "state", w),
    entryField(label, grouped(seen(text), kind), spoken(text), active === "number", toField("number"), "number", w),
  ];
  const extra = { resident_id: "X", residence_permit: "X", taiwan_permit: null }[kind];
  const isLetters = typed.isLetters;
  const kindButton = button(w("kind", kind), () => ui.set({ typed: { ...typed, isChoosingKind: true }, hushed: true }), {
    classes: ".kind",
    key: "kind",
    "aria-label": `${w("page", "kind")}: ${w("kind", kind)}`,
  });
  const ok = button(w("button", "ok"), send, { classes: ".primary.ok", key: "ok", is_off: !isComplete });
  const pad = keys({
    w,
    typed,
    extra: extra === undefined ? "letters" : extra,
    onKey,
    onLetters: (wanted) => ui.set({ typed: { ...typed, isLetters: wanted } }),
  });
  ui.onType = onKey;
  ui.onEnter = send;
  const head = headline(view, w, ui, title);
  // What did not work may take its room until the next key.
  const hasKinds = Boolean(more) || !isProblemShown(view, ui);
  const main = h(
    `div.entry${isLetters ? ".spelling" : ""}`,
    {},
    h("div.left", {}, head, hasKinds && h("div.row", { "data-key": "kinds" }, kindButton, more), h("div.fields", { "data-key": "fields" }, fields), ok),
    pad,
  );
  return { main };
}

/** A field of an entry page, focused where it is the one that is typed into. */
export function entryField(label, text, spoken, isActive, onFocus, name, w) {
  const shown = field({ label, text, spoken: spoken || w("page", "nothing_typed"), isActive, placeholder: "", onFocus, name: `field ${name}` });
  if (isActive) shown.dataset.focus = "";
  return shown;
}

function kindChoice(w, ui) {
  const choose = (kind) => () => ui.set({ typed: { ...nothingTyped(), kind, isLetters: kind === "passport" } });
  return h(
    "div.choice",
    {},
    h("h1", { tabindex: "-1" }, w("page", "kinds")),
    h("div.options.of2", {}, KINDS.map((kind) => button(w("kind", kind), choose(kind), { key: kind }))),
  );
}
