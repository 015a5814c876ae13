"""The console on a telephone and on paper: lists as cards, a menu that is folded, sheets that say what the page says."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.web.texts import load_texts

pytestmark = [pytest.mark.integration, pytest.mark.browser]
BOTH = pytest.mark.parametrize("language", ["zh", "en"])
LISTS = ("/people", "/terminals", "/cases", "/stops", "/audit", "/accounts", "/exchange", "/reminders")
CARDS = """() => [...document.querySelectorAll(".cards")].map((region) => {
  const heads = [...region.querySelectorAll("thead tr > *")].map((each) => each.innerText.trim() || each.textContent.trim());
  const rows = [...region.querySelectorAll("tbody tr")];
  return {
    display: rows.length ? getComputedStyle(rows[0]).display : "",
    moves: region.scrollWidth > region.clientWidth + 1,
    wrong: rows.flatMap((row) => [...row.children].filter((cell, place) => !cell.hasAttribute("colspan")
      && (cell.dataset.label ?? "") !== heads[place].replace(/\\s+/g, " "))).map((cell) => cell.outerHTML.slice(0, 120)),
    unnamed: rows.flatMap((row) => [...row.children].filter((cell) => cell.dataset.label
      && getComputedStyle(cell).display !== "none"
      && !getComputedStyle(cell, "::before").content.includes(cell.dataset.label))).map((cell) => cell.outerHTML.slice(0, 120)),
    roles: region.querySelectorAll(":is(table, thead, tbody, tr, th, td):not([role])").length,
  };
})"""


@pytest.fixture(scope="module")
def office(module_agency: Any) -> Any:
    """The made-up agency; tests here only look at it."""
    return module_agency


@pytest.fixture(scope="module")
def web(module_web: Any) -> Any:
    """Its console."""
    return module_web


@pytest.fixture
def open_console(browse: Callable[..., Any]) -> Callable[..., Any]:
    """Sign somebody with all that a page may show in: `open_console(language, width)`."""

    def enter(language: str, width: int, **options: Any) -> Any:
        name = f"looks {secrets.token_hex(3)}"
        return browse("fleet_administrator", "reviewer", name=name, language=language, width=width, **options)

    return enter


@BOTH
def test_a_row_of_a_list_is_a_card_that_names_each_value(open_console: Callable[..., Any], language: str) -> None:
    seen = open_console(language, 390)
    for path in LISTS:
        page = seen.go(path)
        found = page.evaluate(CARDS)
        assert found, path
        for each in found:
            assert each == {"display": "grid", "moves": False, "wrong": [], "unnamed": [], "roles": 0}, path
        seen.check(f"telephone{path.replace('/', '-')}-{language}")
        # The same table has its rows on a wide screen.
        page.set_viewport_size({"width": 1366, "height": 768})
        assert {each["display"] for each in page.evaluate(CARDS)} == {"table-row"}, path
        seen.check()
        page.set_viewport_size({"width": 390, "height": 844})


@BOTH
def test_whoever_has_a_card_read_out_hears_of_rows_and_columns(open_console: Callable[..., Any], language: str) -> None:
    seen = open_console(language, 390)
    page = seen.go("/terminals")
    words = load_texts()[language]["terminals"]
    table = page.get_by_role("region", name=words["title"]).get_by_role("table")
    expect(table.get_by_role("columnheader", name=words["state"], exact=True)).to_have_count(1)
    row = table.get_by_role("row").nth(1)
    expect(row.get_by_role("rowheader")).to_have_count(1)
    assert row.get_by_role("cell").count() == table.get_by_role("columnheader").count() - 1
    # Nothing is read twice: the word before a value is for the eye alone.
    tree = row.get_by_role("cell").nth(1).aria_snapshot()
    assert words["area"] not in tree


@BOTH
@pytest.mark.parametrize("has_scripts", [True, False])
def test_the_menu_is_folded_and_leads_everywhere(
    open_console: Callable[..., Any], language: str, has_scripts: bool
) -> None:
    seen = open_console(language, 390, java_script_enabled=has_scripts)
    page = seen.go("/people")
    menu, words = page.locator("nav.menu"), load_texts()[language]["menu"]
    summary, links = menu.locator("summary"), menu.locator("a")
    expect(summary).to_contain_text(words["people"])
    expect(links.first).to_be_hidden()
    heading = page.locator("h1")
    before = heading.bounding_box()
    summary.click()
    expect(links.first).to_be_visible()
    after = heading.bounding_box()
    # It makes room for itself and covers nothing.
    assert before is not None
    assert after is not None
    assert after["y"] > before["y"] + 100
    assert links.count() >= 12
    for place in range(links.count()):
        box = links.nth(place).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["height"] >= 40
    expect(menu.locator("[aria-current=page]")).to_have_text(words["people"])
    menu.get_by_text(words["cases"], exact=True).click()
    page.wait_for_url("**/cases")
    expect(menu.locator("summary")).to_contain_text(words["cases"])
    expect(links.first).to_be_hidden()
    page.set_viewport_size({"width": 1366, "height": 768})
    expect(links.first).to_be_visible()
    expect(menu.locator("summary")).to_be_hidden()


@BOTH
def test_what_narrows_a_list_is_folded_and_tells_that_it_does(open_console: Callable[..., Any], language: str) -> None:
    seen = open_console(language, 390)
    texts = load_texts()[language]["console"]
    page = seen.go("/cases")
    fold = page.locator("main details.fold")
    expect(fold.locator("summary")).to_have_text(texts["narrow"])
    expect(page.locator("#f-clock")).to_be_hidden()
    fold.locator("summary").click()
    page.select_option("#f-clock", "late")
    page.locator("form.filters button").click()
    page.wait_for_url("**clock=late**")
    expect(fold.locator("summary")).to_contain_text(texts["narrowed"])
    page.set_viewport_size({"width": 1366, "height": 768})
    expect(page.locator("#f-clock")).to_be_visible()
    expect(fold.locator("summary")).to_be_hidden()
    # Keys find the field that is folded, too.
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("h1").focus()
    page.keyboard.press("/")
    expect(page.locator("#f-area")).to_be_focused()


@BOTH
def test_the_calendar_of_rules_on_a_telephone(open_console: Callable[..., Any], language: str) -> None:
    seen = open_console(language, 390)
    page = seen.go("/rules/calendar")
    days = page.locator(".month td:visible")
    assert 0 < days.count() < page.locator(".month td").count()
    expect(page.locator(".month .today")).to_be_visible()
    edges = {round(box["x"]) for box in (day.bounding_box() for day in days.all()) if box is not None}
    assert len(edges) == 1, "one day below the other"
    # No day that is shown reaches into the next one.
    boxes = [box for box in (day.bounding_box() for day in days.all()) if box is not None]
    assert all(one["y"] + one["height"] <= other["y"] + 1 for one, other in pairwise(boxes))
    seen.check(f"telephone-calendar-{language}")
    page.set_viewport_size({"width": 1366, "height": 768})
    assert page.locator(".month td:visible").count() == page.locator(".month td").count()
    seen.check()


INK = """() => [...document.querySelectorAll("main *")].filter((each) => each.checkVisibility() && each.innerText && !each.closest("svg"))
  .filter((each) => { const style = getComputedStyle(each);
    return style.color !== "rgb(0, 0, 0)" || !["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"].includes(style.backgroundColor)
      || (each.tagName === "A" && style.textDecorationLine !== "none"); })
  .map((each) => each.outerHTML.slice(0, 120))"""


@BOTH
def test_a_page_on_paper_is_black_on_white_with_nothing_to_press(
    office: Any, open_console: Callable[..., Any], language: str
) -> None:
    index = office.index
    pages = [
        *("/people", "/terminals", "/cases", "/stops", "/rules/calendar"),
        f"/people/{index.people['reported_dead']}",
        f"/cases/{next(iter(index.cases.values()))}",
    ]
    seen = open_console(language, 718)
    seen.page.emulate_media(media="print")
    for path in pages:
        page = seen.go(path)
        for part in (".top", "nav", "button", ".button", ".help", "input", ".pager"):
            expect(page.locator(part).locator("visible=true")).to_have_count(0)
        assert page.evaluate(INK) == [], path
        heads = page.locator("thead")
        assert [each.evaluate("each => getComputedStyle(each).display") for each in heads.all()] == [
            "table-header-group"
        ] * heads.count()
        rows = page.locator("tbody tr").first
        if rows.count():
            assert rows.evaluate("each => [getComputedStyle(each).display, getComputedStyle(each).breakInside]") == [
                "table-row",
                "avoid",
            ]
        assert seen.too_wide() == [], path


def test_what_is_too_pale_is_found_whatever_was_looked_at_before(browse: Callable[..., Any]) -> None:
    seen = browse("viewer")
    seen.go("/people")
    assert seen.serious() == []
    for shade in ("#888", "#999"):
        seen.page.locator("main h1").evaluate(
            "(title, shade) => { title.style.cssText = `color: ${shade}; font-size: 16px` }", shade
        )
        (found,) = seen.serious()
        assert found.startswith("color-contrast:")
