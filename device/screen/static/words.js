// The texts of both languages, fetched once.

const LANGUAGES = ["zh", "en"];
const found = {};

/** Fetch the texts; throws where the terminal does not answer. */
export async function fetchWords() {
  await Promise.all(
    LANGUAGES.map(async (language) => {
      const answer = await fetch(`/texts/${language}.json`);
      if (!answer.ok) throw new Error("no texts");
      found[language] = await answer.json();
    }),
  );
}

/** Return the words of a language; `w(group, id, {fill})` gives a text, the id itself where there is none. */
export function wordsOf(language) {
  const { texts, lines, slip, commissioning } = found[language];
  const w = (group, id, fill = {}) => filled(texts[group]?.[id] ?? id, fill);
  w.tag = texts.language;
  w.line = (id) => lines[id] ?? texts.page.covered;
  w.problem = (id) => texts.problem[id] ?? lines[id] ?? id;
  w.verdict = (id) => slip.verdict[id] ?? id;
  w.check = (group, id) => commissioning[group][id] ?? id;
  w.sentence = (row) => (w.tag.startsWith("zh") ? row.zh : row.en);
  w.has = (group, id) => id in (texts[group] ?? {});
  w.day = (id, iso) => {
    const [year, month, day] = iso.split("-").map(Number);
    return w("page", id, { year, month, day, month_name: texts.months.names[month - 1] });
  };
  const named = (month) => texts.months.names[month - 1];
  w.title = (pack) => (w.tag.startsWith("zh") ? pack.title_zh : pack.title_en);
  w.cycle = (pack) => {
    const fill = Object.fromEntries(pack.numbers);
    for (const end of ["opens", "closes"]) {
      const [month, day] = [fill[`${end}_month`], fill[`${end}_day`]];
      if (month) fill[end] = w("page", "year_day", { month, day, month_name: named(month) });
    }
    return w("cycle", pack.cycle, fill);
  };
  return w;
}

function filled(text, fill) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => fill[name] ?? whole);
}
