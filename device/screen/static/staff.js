// The pages of an operator.

import { h } from "./dom.js";
import { button, entryField, headline, isProblemShown, livePicture, numberEntry } from "./pages.js";
import { keys, type } from "./pad.js";

const ON_A_PAGE = 8;
const INITIALS_ON_A_PAGE = 24;
const WARNINGS_ON_A_PAGE = 6;
const LONGEST_PIN = 12;
const LONGEST_OPERATOR = 64;
const DATE_DIGITS = 8;

function back(w, ui) {
  return button(w("button", "back"), () => ui.touch("back"), { classes: ".big", key: "back", "data-escape": true });
}

function cancel(w, ui) {
  return button(w("button", "cancel"), () => ui.touch("cancel"), { classes: ".big.cancel", key: "cancel" });
}

export function signIn(view, w, ui) {
  const head = view.wait_s
    ? h("p.problem", { "data-key": "problem" }, w("page", "wait", { seconds: view.wait_s }))
    : headline(view, w, ui, w("page", "sign_in"));
  const main = numberAndPin(w, ui, { above: head, isOff: Boolean(view.wait_s), onComplete: (text) => ui.submit("pin", text) });
  const said = view.wait_s ? w("problem", "sign_in_locked") : w("page", "sign_in");
  return { said, main, buttons: [back(w, ui)] };
}

/**
 * An operator's number and PIN, forgotten here as soon as they are sent.
 *
 * @param {Object} of `above` (nodes over the fields), `isOff` (nothing can be sent now), `onComplete("number/PIN")`.
 */
function numberAndPin(w, ui, { above, isOff = false, onComplete }) {
  const typed = ui.local.typed;
  const active = typed.field ?? "operator";
  const operator = typed.fields.operator ?? "";
  const pin = typed.fields.pin ?? "";
  const isComplete = operator.length > 0 && pin.length > 0 && !isOff;
  const send = () => {
    if (active === "operator" && operator && !pin) {
      ui.set({ typed: { ...typed, field: "pin", isLetters: false } });
    } else if (isComplete) {
      ui.set({ typed: ui.nothing() });
      onComplete(`${operator}/${pin}`);
    }
  };
  const onKey = (key) => {
    if (active === "pin" && !/^(\d|delete)$/.test(key)) return;
    ui.set({ typed: type(typed, active, key, active === "pin" ? LONGEST_PIN : LONGEST_OPERATOR), hushed: true });
  };
  const toField = (name) => () => ui.set({ typed: { ...typed, field: name, isLetters: false } });
  ui.onType = onKey;
  ui.onEnter = send;
  const dots = "●".repeat(pin.length);
  return h(
    `div.entry${typed.isLetters ? ".spelling" : ""}`,
    {},
    h(
      "div.left",
      {},
      above,
      h(
        "div.fields",
        { "data-key": "fields" },
        entryField(w("page", "operator_number"), operator, [...operator].join(" "), active === "operator", toField("operator"), "operator", w),
        entryField(w("page", "pin"), dots, pin && w("page", "pin_typed", { count: pin.length }), active === "pin", toField("pin"), "pin", w),
      ),
      button(w("button", "ok"), send, { classes: ".primary.ok", key: "ok", is_off: !operator || isOff }),
    ),
    keys({ w, typed, extra: active === "pin" ? null : "letters", onKey, onLetters: (isLetters) => ui.set({ typed: { ...typed, isLetters } }) }),
  );
}

export function menu(view, w, ui) {
  const badge = (task) => (task === "status" && view.warnings.length ? h("span.badge", { "data-key": "badge" }, w("page", "warnings", { count: view.warnings.length })) : null);
  // The check of the terminal is begun where its standing is looked at.
  const tiles = view.tasks.filter((task) => task !== "commission").map((task, place) =>
    h("button", { type: "button", "data-key": task, "data-focus": place === 0, onclick: () => ui.touch("task", task) }, w("task", task), badge(task)),
  );
  const main = h("div.choice", {}, headline(view, w, ui, w("page", "menu")), h(`div.options.of3`, {}, tiles));
  const out = button(w("button", "sign_out"), () => ui.touch("sign_out"), { classes: ".big", key: "sign_out", "data-escape": true });
  return {
    said: w("page", "menu"),
    main,
    middle: [w("page", "signed_in", { name: view.operator ?? "" }), view.counts && w("page", "counts", view.counts)],
    buttons: [out],
  };
}

export function status(view, w, ui) {
  const found = view.counts;
  const counts = found && [w("page", "counts", found), found.refused && w("page", "refused", found)].filter(Boolean).join(" · ");
  const pictures = found ? [found.pictures_waiting && w("page", "pictures_waiting", found), found.pictures_refused && w("page", "pictures_refused", found)] : [];
  const pages = Math.max(1, Math.ceil(view.warnings.length / WARNINGS_ON_A_PAGE));
  const page = ui.local.page % pages;
  const shown = view.warnings.slice(page * WARNINGS_ON_A_PAGE, (page + 1) * WARNINGS_ON_A_PAGE);
  const warnings = shown.map((id) => h("li", {}, w("warning", id)));
  const label = w("button", page + 1 < pages ? "more" : "first_page");
  const more = pages > 1 && button(label, () => ui.set({ page: page + 1 }), { classes: ".big", key: "more_warnings" });
  const check = button(w("task", "commission"), () => ui.touch("task", "commission"), { classes: ".big.wrapped", key: "commission" });
  const main = h(
    "div.status",
    {},
    h("h1", { tabindex: "-1" }, w("page", "status")),
    counts && h("p.large", {}, counts),
    warnings.length ? h("ul", {}, warnings) : h("p.large", {}, w("page", "no_warnings")),
  );
  return { said: w("page", "status"), main, middle: pictures, buttons: [more, check, back(w, ui)] };
}

export function done(view, w, ui) {
  const text = view.task && w.has("done", view.task) ? w("done", view.task) : w("page", "done_title");
  const next = view.task && w.has("done_next", view.task) ? w("done_next", view.task) : null;
  const main = h("div.plain", {}, h("img.symbol", { src: "/static/done.svg", alt: "" }), h("h1", { tabindex: "-1" }, text), next && h("p.until", {}, next));
  const finish = button(w("button", "finish"), () => ui.touch("back"), { classes: ".big", key: "finish", "data-escape": true, "data-focus": true });
  return { said: [text, next].filter(Boolean).join(" "), main, buttons: [finish] };
}

export function step(view, w, ui) {
  const pages = { person, choice, witness, place, photo, date, confirm, stick };
  const found = pages[view.kind](view, w, ui);
  const where = w("page", "step", { number: view.step_number, steps: view.steps });
  const title = `${w("task", view.task)} ${view.step_number}/${view.steps}`;
  return {
    said: `${w("task", view.task)}. ${where}. ${w("step", view.step)}`,
    buttons: [back(w, ui), cancel(w, ui)],
    middle: [title, view.person && view.kind !== "confirm" ? view.person : null],
    ...found,
  };
}

function person(view, w, ui) {
  const canList = view.step === "person";
  const hasList = canList && (view.names.length > 0 || ui.local.search !== "" || ui.local.isSearching);
  const isList = canList && (ui.local.mode ?? (hasList ? "list" : "number")) !== "number";
  if (!isList) {
    const toList = canList && button(w("button", "name_list"), () => ui.set({ mode: "list", typed: ui.nothing() }), { key: "name_list" });
    return numberEntry(view, w, ui, w("step", view.step), toList);
  }
  const find = () => {
    ui.touch("search", ui.local.search);
    ui.set({ more: 0, isSearching: true });
  };
  ui.onEnter = find;
  const search = h("input", {
    type: "search",
    value: ui.local.search,
    "data-key": "search",
    autocomplete: "off",
    autocorrect: "off",
    spellcheck: "false",
    maxlength: "40",
    placeholder: w("page", "search"),
    "aria-label": w("page", "search"),
    // Not drawn anew while an input method is at work.
    oninput: (event) => ui.keep({ search: event.target.value }),
  });
  const rows = view.names.map((row, place) =>
    h(
      "button.name",
      { type: "button", "data-key": `name ${place}`, "data-focus": place === 0, onclick: () => ui.touch("person", String(row.position)) },
      h("b", {}, row.name),
      h("span", {}, [row.born && w("page", "born", { year: row.born }), row.place].filter(Boolean).join(" · ") || " "),
    ),
  );
  const isLast = !view.has_more_names && ui.local.more > 0;
  const next = () => {
    ui.touch(isLast ? "search" : "more", isLast ? ui.local.search : "");
    ui.set({ more: isLast ? 0 : ui.local.more + 1 });
  };
  const isProblem = isProblemShown(view, ui);
  const isByInitial = ui.local.mode === "initials";
  const toInitials = view.initials.length > 1 && button(w("button", "by_initial"), () => ui.set({ mode: "initials", page: 0 }), { key: "by_initial" });
  const main = h(
    "div.people",
    {},
    h("div.head", {}, headline(view, w, ui, w("step", view.step)), !isProblem && search, !isProblem && button(w("button", "search"), find, { key: "find" })),
    isByInitial
      ? initials(view, w, ui)
      : h("div.names", { "data-key": "names" }, rows.length ? rows : h("p.large", {}, w("page", "no_names"))),
    h(
      "div.side",
      {},
      button(w("button", "type_number"), () => ui.set({ mode: "number", hushed: true }), { key: "type_number" }),
      isByInitial ? button(w("button", "name_list"), () => ui.set({ mode: "list" }), { key: "name_list" }) : toInitials,
      !isByInitial && button(w("button", isLast ? "first_page" : "more"), next, { key: "more", is_off: !view.has_more_names && !isLast }),
    ),
  );
  return { main };
}

/** What names begin with; whom one of them leads to is the list again. */
function initials(view, w, ui) {
  const isPaged = view.initials.length > INITIALS_ON_A_PAGE;
  const most = isPaged ? INITIALS_ON_A_PAGE - 1 : INITIALS_ON_A_PAGE;
  const pages = Math.ceil(view.initials.length / most);
  const page = ui.local.page % pages;
  const tiles = view.initials.slice(page * most, (page + 1) * most).map((initial, at) =>
    button(initial, () => {
      ui.touch("search", initial);
      ui.set({ mode: "list", search: initial, more: 0, isSearching: true });
    }, { key: `initial ${initial}`, "data-focus": at === 0 }),
  );
  if (isPaged) tiles.push(button(w("button", page + 1 < pages ? "more" : "first_page"), () => ui.set({ page: page + 1 }), { classes: ".quiet", key: "more_initials" }));
  return h("div.initials", { "data-key": "initials" }, tiles);
}

function choice(view, w, ui) {
  const texts = view.options.map((option) => w(view.step, option.code));
  return { main: choices(view, w, ui, view.options.map((option, place) => [option.code, texts[place]]), "choose") };
}

function place(view, w, ui) {
  return { main: choices(view, w, ui, view.options.map(({ code, name }) => [code, name ?? w("place", code)]), "choose") };
}

function choices(view, w, ui, all, kind) {
  const columns = all.length <= 4 ? "of2" : "of3";
  const most = ON_A_PAGE + 1;
  const isPaged = all.length > most;
  const pages = Math.ceil(all.length / ON_A_PAGE);
  const page = ui.local.page % pages;
  const shown = isPaged ? all.slice(page * ON_A_PAGE, (page + 1) * ON_A_PAGE) : all;
  const tiles = shown.map(([code, text], at) => button(text, () => ui.touch(kind, code), { key: code, "data-focus": at === 0 }));
  if (isPaged) {
    const label = w("button", page + 1 < pages ? "more" : "first_page");
    tiles.push(button(label, () => ui.set({ page: page + 1 }), { classes: ".quiet", key: "more" }));
  }
  return h("div.choice", {}, headline(view, w, ui, w("step", view.step)), h(`div.options.${columns}`, {}, tiles));
}

function witness(view, w, ui) {
  const above = [
    headline(view, w, ui, w("step", view.step)),
    h("div.row", { "data-key": "kinds" }, button(w("button", "nobody"), () => ui.touch("choose", "none"), { key: "nobody" })),
  ];
  return { main: numberAndPin(w, ui, { above, onComplete: (text) => ui.submit("choose", text) }) };
}

function photo(view, w, ui) {
  const isTaken = view.photo?.state === "taken";
  const isTaking = view.photo?.state === "taking";
  const picture = isTaken
    ? h("div.picture.whole", { "data-key": "taken" }, h("img", { src: `/photo.jpg?n=${ui.photoNumber}`, alt: w("page", "photo") }))
    : view.has_picture
      ? livePicture(w, ui, "whole")
      : h("div.picture.whole", { "data-key": "none" });
  const take = () => ui.take();
  const checks = (view.photo?.checks ?? []).map((check) =>
    h(
      `li${check.passed ? ".passed" : ".doubtful"}`,
      {},
      h("b", { "aria-hidden": "true" }, check.passed ? "✓" : "!"),
      h("span", {}, w("check", check.name)),
      h("span.unseen", {}, w("page", check.passed ? "check_passed" : "check_failed")),
    ),
  );
  const main = h(
    "div.photo",
    {},
    headline(view, w, ui, w("step", view.step)),
    picture,
    h(
      "div.beside",
      {},
      isTaken && h("ul.checks", {}, checks),
      h(
        "div.deeds",
        {},
        isTaken && button(w("button", "keep"), () => ui.touch("keep"), { classes: ".primary", key: "keep", "data-focus": true }),
        button(w("button", isTaken ? "again" : "take"), take, { classes: isTaken ? "" : ".primary", key: "take", "data-focus": !isTaken, is_off: isTaking }),
      ),
    ),
  );
  return { main };
}

function date(view, w, ui) {
  const typed = ui.local.typed;
  const text = typed.fields.date ?? "";
  const isComplete = text.length === DATE_DIGITS;
  const parts = [text.slice(0, 4), text.slice(4, 6), text.slice(6)];
  const send = () => isComplete && ui.submit("date", parts.join("-"));
  const onKey = (key) => /^(\d|delete)$/.test(key) && ui.set({ typed: type(typed, "date", key, DATE_DIGITS), hushed: true });
  ui.onType = onKey;
  ui.onEnter = send;
  const cells = ["year", "month", "day"].map((name, at) => h(`span.part.${name}`, {}, h("b", {}, parts[at] || " "), h("span", {}, w("page", name))));
  const shown = h(
    "div.field.active.date",
    { role: "textbox", "aria-readonly": "true", tabindex: "0", "data-key": "field date", "data-focus": true, "aria-label": text ? parts.filter(Boolean).join(" ") : w("page", "nothing_typed") },
    cells,
  );
  const main = h(
    "div.entry",
    {},
    h("div.left", {}, headline(view, w, ui, w("step", view.step)), h("div.fields", { "data-key": "fields" }, shown), button(w("button", "ok"), send, { classes: ".primary.ok", key: "ok", is_off: !isComplete })),
    keys({ w, typed, extra: null, onKey }),
  );
  return { main };
}

function confirm(view, w, ui) {
  const main = h(
    "div.plain",
    {},
    headline(view, w, ui, w("step", view.step)),
    h("p.until", {}, w("task", view.task), view.person ? ` · ${view.person}` : ""),
    w.has("confirm", view.task) && h("p.next", {}, w("confirm", view.task)),
    button(w("button", "confirm"), () => ui.touch("confirm"), { classes: ".primary.begin", key: "confirm", "data-focus": true }),
  );
  return { main };
}

function stick(view, w, ui) {
  const courier = view.courier;
  if (courier?.state === "running") {
    const main = h(
      "div.plain",
      {},
      h("h1", { tabindex: "-1" }, w("page", "stick_running")),
      h("progress", { "data-key": "progress", max: courier.total || null, value: courier.total ? courier.exported : null, "aria-label": w("step", "stick") }),
      h("p.large", {}, w("page", "stick_counts", courier)),
    );
    return { main, said: w("page", "stick_running"), buttons: [] };
  }
  if (courier?.state === "done") {
    const main = h(
      "div.plain",
      {},
      !view.problem && h("img.symbol", { src: "/static/done.svg", alt: "" }),
      headline(view, w, ui, w("page", "stick_done")),
      h("p.large", {}, w("page", "stick_counts_done", courier)),
    );
    return { main, said: w("page", "stick_done"), buttons: [back(w, ui)] };
  }
  const has = view.options.length > 0;
  const again = button(w("button", "look_again"), () => ui.touch("stick", ""), { classes: has ? ".quiet" : ".primary", key: "look_again", "data-focus": !has });
  const tiles = view.options.slice(0, ON_A_PAGE).map(({ code, name }, at) => button(name ?? code, () => ui.touch("stick", code), { key: code, "data-focus": at === 0 }));
  const title = w("page", has ? "stick_choose" : "stick_none");
  const main = h("div.choice", {}, headline(view, w, ui, title), h("div.options.of2", {}, tiles, again));
  return { main, said: title, buttons: [back(w, ui)] };
}
