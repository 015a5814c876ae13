"""The fairness board: rates of the functions, who stands out, and which terminal to look at."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from fleet.statistics.fairness import fairness
from fleet.statistics.figures import Interval
from fleet.store.areas import Area, save_areas
from fleet.web.pages import figures_fairness
from protocol.outcomes import Outcome

pytestmark = pytest.mark.integration
AREAS = [
    Area("1", None, 1, "北省"),
    Area("11", "1", 2, "中市"),
    Area("111", "11", 3, "东县"),
    Area("112", "11", 3, "西县"),
]


CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)


@pytest.fixture
def sessions(office: Any, make_fleet_terminal: Callable[..., Any]) -> Any:
    """Two counties and two terminals; at the second one, where the older people go, most sessions fail."""
    with office.database.begin() as connection:
        save_areas(connection, AREAS)
    terminals = [make_fleet_terminal("north", "t-good"), make_fleet_terminal("north", "t-dim")]
    for terminal in terminals:
        office.register(terminal, area="111")
    office.import_people(2, area="111")
    office.import_people(2, area="112", first=101)
    with office.database.begin() as connection:
        connection.execute(
            text(
                "UPDATE subjects SET birth_date = CASE WHEN area = '111' THEN DATE '1936-05-01' ELSE DATE '1958-05-01' END,"
                " sex = CASE WHEN area = '111' THEN 'female' ELSE 'male' END"
            )
        )
    office.list_since("2020-01-01")
    office.rebuild()
    office.hold_references()
    people = list(office.people)
    begin = datetime(2026, 10, 1, 1, tzinfo=UTC)
    for number in range(36):
        for place, (person, bad) in enumerate(((0, 22), (2, 1))):
            outcome = Outcome.POOR_SAMPLE if number < bad else Outcome.CERTIFIED
            if number >= 34:
                outcome = Outcome.CANCELLED
            terminal = terminals[1 - place]
            subject = people[person]
            at = begin + timedelta(days=number)
            office.send(
                terminal, terminal.next(subject_id=subject, token=office.people[subject], at=at, outcome=outcome)
            )
    return office


def percent(found: Interval | None) -> str:
    assert found is not None
    return f"{100 * found.value:.1f} % ({100 * found.low:.1f} % – {100 * found.high:.1f} %)"


def rows(page: str, section: str) -> dict[str, list[str]]:
    part = page.split(f'id="by-{section}"', 1)[1].split("</section>", 1)[0]
    body = re.sub(r"<figure.*?</figure>", "", part, flags=re.DOTALL)
    found = [
        [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", cell)).strip() for cell in CELL.findall(row)]
        for row in re.findall(r"<tr\b[^>]*>(.*?)</tr>", body, flags=re.DOTALL)
    ]
    return {row[0]: row[1:] for row in found[1:]}


def test_feature_84_rates_are_those_of_the_function_and_what_stands_out_is_said(
    sessions: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in("viewer").get("/figures/fairness?level=3").text
    with sessions.database.begin() as connection:
        found = fairness(
            connection,
            date(2026, 8, 23),
            date(2026, 11, 20),
            level=3,
            least=10,
            scheme=None,
            zone=sessions.settings.zone(),
        )
    groups = {group.by: group for group in found.groups}
    names = {"111": "东县", "112": "西县", "female": "female", "male": "male"}
    for by, cells in ((by, groups[by].cells) for by in ("sex", "region", "device")):
        shown = rows(page, by)
        assert len(shown) == len(cells) == 2
        for cell in cells:
            finished, failed, rate, broken, leaving = shown[names.get(cell.key, cell.key)]
            assert (finished, failed, broken) == (str(cell.finished), str(cell.failed), str(cell.abandoned))
            assert rate.startswith(percent(cell.failure()))
            assert leaving == percent(cell.abandon())
    assert list(rows(page, "age")) == ["65–69 years", "90+ years"]
    assert percent(found.total.failure()) in re.sub(r"<[^>]*>", "", page)
    assert "Terminal, t-dim: failure rate 64.7 %" in page
    assert 'href="/terminals/t-dim">Look at this terminal' in page
    assert "Terminal, t-good: failure" not in page
    assert "Area, 东县: failure rate" in page


def test_feature_84_small_groups_are_not_shown_by_themselves_and_areas_only_to_whoever_may_look(
    sessions: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("viewer", area="112")
    page = client.get("/figures/fairness?level=3").text
    assert list(rows(page, "region")) == ["西县"]
    assert "东县" not in page
    assert "t-dim" not in page
    assert client.get("/figures/fairness?area=111").status_code == 404
    assert client.get("/figures/fairness/export/csv?area=111").status_code == 404
    few = client.get("/figures/fairness?since=2026-10-01&as_of=2026-10-05").text
    assert rows(few, "region")["西县"] == ["too few to be shown by themselves"]
    assert " % (" not in re.sub(r"<[^>]*>", "", few.split('id="by-age"')[0])
    assert "<img" not in few
    assert "no sessions in this span" in client.get("/figures/fairness?since=2026-01-01&as_of=2026-02-01").text


def test_of_many_that_stand_out_the_worst_are_named_and_the_rest_counted(
    sessions: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_fairness, "_MOST_ALERTS", 0)
    page = sign_in("viewer").get("/figures/fairness?level=3").text
    assert "1 more (by terminal) are clearly high" in page
    assert "Terminal, t-dim" not in page


def test_a_file_has_all_rates(sessions: Any, sign_in: Callable[..., Any]) -> None:
    answer = sign_in("viewer").get("/figures/fairness/export/csv?level=3")
    assert answer.headers["content-disposition"] == 'attachment; filename="fairness-2026-11-20.csv"'
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert ["device", "t-dim", "36", "0.6471"] in [line[:4] for line in lines]
    assert sign_in("viewer").get("/figures/fairness/export/pdf").status_code == 404


def test_what_cannot_be_used_is_said(sessions: Any, sign_in: Callable[..., Any]) -> None:
    answer = sign_in("viewer").get("/figures/fairness?since=2027-01-01")
    assert answer.status_code == 422
    assert "begins after" in answer.text
    assert sign_in("viewer").get("/figures/fairness/export/csv?since=2027-01-01").status_code == 303


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_the_board_can_be_read_by_everybody(
    sessions: Any, browse: Callable[..., Any], language: str, width: int
) -> None:
    seen = browse("viewer", language=language, width=width)
    page = seen.go("/figures/fairness")
    expect(page.locator("figure img").first).to_be_visible()
    expect(page.locator(".alerts li").first).to_contain_text({"zh": "失败率", "en": "failure rate"}[language])
    seen.check(f"fairness-{language}-{width}")
