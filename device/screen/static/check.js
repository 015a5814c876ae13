// The page on which a terminal is commissioned: what is asked, large and one at a time, and what was found.

import { h } from "./dom.js";
import { button, headline } from "./pages.js";

const ANSWERS = ["yes", "no", "skip"];
/** The first asks whether somebody is ready, which "no" is no answer to. */
const DEEDS = new Set(["target", "seat"]);
const MARKS = { passed: "✓", failed: "!", skipped: "–" };

export function commissioning(view, w, ui) {
  const check = view.commissioning;
  const pages = { ready, running, done, failed: done };
  const isRunning = check.state === "running";
  const leave = button(w("button", isRunning ? "end_check" : "back"), () => ui.touch("back"), {
    classes: isRunning ? ".big.cancel" : ".big",
    key: "leave",
    "data-escape": true,
  });
  const bad = check.rows.filter((row) => row.status === "failed").length;
  const found = pages[check.state](view, check, w, ui);
  const progress = isRunning && w("page", "check_running", { done: check.rows.length, parts: check.parts });
  const middle = [progress, isRunning && bad > 0 && w("page", "check_bad", { count: bad })];
  return { middle, ...found, buttons: [...(found.buttons ?? []), leave] };
}

/** What a person who comes meanwhile is told; whoever is asked something still sees what. */
function told(view, w) {
  return view.problem && h("p.told", { "data-key": "told" }, w.problem(view.problem));
}

function ready(view, _check, w, ui) {
  const main = h(
    "div.plain",
    {},
    headline(view, w, ui, w("page", "check")),
    h("p.until", {}, w("page", "check_needs")),
    button(w("button", "start_check"), () => ui.touch("confirm"), { classes: ".primary.begin", key: "start_check", "data-focus": true }),
  );
  return { main, said: `${w("page", "check")}. ${w("page", "check_needs")}` };
}

function running(view, check, w, ui) {
  if (check.question) return question(view, check, w, ui);
  const progress = w("page", "check_running", { done: check.rows.length, parts: check.parts });
  const newest = check.rows.at(-1);
  const main = h(
    "div.check",
    {},
    told(view, w),
    h("h1", { "data-key": "headline", tabindex: "-1" }, w("page", "check_quiet")),
    h("progress", { "data-key": "progress", max: check.parts, value: check.rows.length, "aria-label": progress }),
    newest && h("ul.found", { "data-key": "found" }, rowOf(newest, w)),
  );
  return { main, said: newest ? `${progress}. ${spoken(newest, w)}` : progress };
}

function question(view, check, w, ui) {
  const text = w.check("question", check.question);
  const isPress = check.question.startsWith("press_");
  const give = (answer) => () => ui.touch("answer", `${check.question}/${answer}`);
  const answers = DEEDS.has(check.question) ? ["yes", "skip"] : ANSWERS;
  const deeds = answers.map((answer, at) =>
    button(w("button", answer), give(answer), { classes: at ? "" : ".primary", key: answer, "data-focus": at === 0 }),
  );
  const main = h(
    "div.check.asking",
    {},
    told(view, w),
    h("h1", { "data-key": "headline", tabindex: "-1" }, text),
    isPress ? h("p.large", {}, w("page", "check_press")) : h("div.deeds", { "data-key": "deeds" }, deeds),
  );
  return { main, said: text };
}

function done(view, check, w, ui) {
  const open = check.rows.filter((row) => row.is_open);
  const passed = check.rows.filter((row) => row.status === "passed").length;
  const title = check.state === "failed" ? w("page", "check_ended") : w.check("label", check.has_passed ? "passed" : "not_passed");
  const report = w("page", "check_report", { passed, parts: check.parts });
  const at = open.length ? ui.local.page % open.length : 0;
  const again = button(w("button", "check_again"), () => ui.touch("confirm"), { classes: ".big", key: "start_check" });
  const next = open.length > 1 && button(w("button", "next_result"), () => ui.set({ page: at + 1 }), { classes: ".big", key: "next_result", "data-focus": true });
  const main = h(
    "div.check",
    {},
    headline(view, w, ui, title),
    check.is_simulated && h("p", {}, w.check("label", "simulated")),
    check.state === "done" && h("p", {}, report),
    open.length > 0 && h("ul.found", { "data-key": "found" }, rowOf(open[at], w)),
  );
  return {
    main,
    middle: [open.length > 0 && w("page", "check_to_do", { number: at + 1, count: open.length })],
    said: [title, open.length > 0 && spoken(open[at], w)].filter(Boolean).join(". "),
    buttons: [next, again],
  };
}

function rowOf(row, w) {
  const kind = row.is_open ? ".open" : "";
  return h(
    `li${kind}`,
    {},
    h("b", {}, h("span", { "aria-hidden": "true" }, `${MARKS[row.status]} `), `${w.check("part", row.part)}: ${w.check("status", row.status)}`),
    h("span", {}, w.sentence(row)),
  );
}

function spoken(row, w) {
  return `${w.check("part", row.part)}: ${w.check("status", row.status)}. ${w.sentence(row)}`;
}
