// Typing on the glass: digits, letters, fields. What is typed lives in `typed` alone and is dropped with the page.

import { h } from "./dom.js";

const LONGEST = 40;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Nothing typed yet. */
export function nothingTyped() {
  return { kind: null, fields: {}, field: null, isLetters: false, isChoosingKind: false };
}

/** Group the characters of a number as they stand on the document. */
export function grouped(text, kind) {
  const sizes = { passport: [3, 3, 3], hk_macao_permit: [1, 4, 4], taiwan_permit: [4, 4] }[kind] ?? [6, 8, 4];
  const parts = [];
  let at = 0;
  for (const size of sizes) {
    if (at < text.length) parts.push(text.slice(at, at + size));
    at += size;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts.join(" ");
}

/** Add a character, or take the last away with "delete". */
export function type(typed, field, key, longest = LONGEST) {
  const text = typed.fields[field] ?? "";
  const after = key === "delete" ? text.slice(0, -1) : (text + key).slice(0, longest);
  return { ...typed, fields: { ...typed.fields, [field]: after } };
}

/**
 * The keys: digits, or letters where `typed.isLetters`.
 *
 * @param {Object} of `w`, `typed`, `extra` (a fourth-row key such as "X", or "letters"), `onKey(key)`, `onLetters(isLetters)`.
 */
export function keys({ w, typed, extra, onKey, onLetters }) {
  const key = (name, label = name, classes = "") =>
    h(`button.key${classes}`, { type: "button", "data-key": name, onclick: () => onKey(name) }, label);
  const remove = key("delete", w("button", "delete"), ".word");
  const toggle = (id, isLetters) =>
    h("button.key.word", { type: "button", "data-key": id, onclick: () => onLetters(isLetters) }, w("button", id));
  if (typed.isLetters) {
    return h("div.letters", {}, [...LETTERS].map((one) => key(one)), toggle("digits", false), remove);
  }
  const last = extra === "letters" ? toggle("letters", true) : extra ? key(extra) : h("span", { "data-key": "gap" });
  return h("div.digits", {}, [..."123456789"].map((one) => key(one)), last, key("0"), remove);
}

/** A field that shows what is typed; it is no form field, so that nothing fills it in or remembers it. */
export function field({ label, text, spoken, isActive, placeholder, onFocus, name }) {
  return h(
    `div.field${isActive ? ".active" : ""}`,
    { role: "textbox", "aria-readonly": "true", "aria-label": `${label}: ${spoken}`, tabindex: "0", "data-key": name, onclick: onFocus },
    h("span.label", {}, label),
    h(`span.typed${text ? "" : ".none"}`, {}, text || placeholder),
  );
}
