"""The pages of duplicates: the queue, and a hit that two people decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from fleet.store.duplicates import NewHit, add_hits, other_region
from fleet.store.subjects import Benefit, save_benefit

pytestmark = pytest.mark.integration
MODEL = {"model_sha256": "d" * 64, "key_domain": "d1"}


@pytest.fixture
def office(database: Any, make_office: Callable[..., Any], tmp_path: Path) -> Any:
    """A fleet with a table of benefits of its own, which is the shipped one until a test writes another."""
    shipped = files("fleet.duplicates").joinpath("combinations.toml").read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(shipped, encoding="utf-8")
    return make_office(database, duplicates={"combinations_file": tmp_path / "own.toml"})


@pytest.fixture
def hits(office: Any) -> dict[str, str]:
    """Four people in the east, two in the west, one with a script for a name; hits by what they are, with their ids."""
    office.import_people(4)
    office.import_people(2, area="west", first=5, name="乙<script>")
    who = sorted(office.people)
    by_name = list(office.people)
    east, west = sorted(by_name[:2]), by_name[4]
    with office.database.begin() as connection:
        benefit = Benefit("unemployment", "east", "jobless", date(2010, 1, 1), None, None, date(2011, 12, 31))
        save_benefit(connection, by_name[0], benefit)
        add_hits(
            connection,
            [
                NewHit("same_face", (east[0], east[1]), score=0.9, threshold=0.75, **MODEL),
                NewHit("same_face", tuple(sorted((by_name[2], west))), score=0.8, threshold=0.75, **MODEL),  # type: ignore[arg-type]
                NewHit("same_person", tuple(sorted((by_name[4], by_name[5]))), what="name and date of birth"),  # type: ignore[arg-type]
                other_region(by_name[3], "pension", "south", "east"),
                NewHit("elsewhere", (by_name[0], by_name[0]), what="City B: pension (east) + pension (b): not_allowed"),
            ],
            now=office.now,
        )
    del who
    return {
        f"{row.kind}{row.score or ''}": row.hit_id
        for row in office.rows("SELECT kind, score, hit_id FROM duplicate_hits")
    }


def _say(client: Any, hit: str, verdict: str = "different", version: str = "open:0", reason: str = "twins") -> Any:
    return client.send_form(f"/duplicates/{hit}", {"verdict": verdict, "reason": reason, "version": version})


def test_the_queue_is_of_the_most_alike_first_and_says_what_was_found(
    hits: dict[str, str], sign_in: Callable[..., Any]
) -> None:
    client = sign_in("reviewer")
    page = client.get("/duplicates").text
    assert page.count("<tr ") == 6
    assert page.index("similarity of 0.900") < page.index("similarity of 0.800") < page.index("same name and date")
    assert "pension was paid by south and is paid by east" in page
    assert "The list of City B has enterprise pension (b)" in page
    assert client.get("/duplicates?kind=face").text.count("<tr ") == 3
    assert client.get("/duplicates?kind=number").text.count("<tr ") == 4
    assert "Nothing here" in client.get("/duplicates?state=waits").text
    assert "Nothing here" in client.get("/duplicates?state=decided").text
    assert client.get("/duplicates?state=nonsense&after=x").status_code == 200


def test_a_hit_with_somebody_elsewhere_is_told_and_not_shown(
    hits: dict[str, str], office: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("reviewer", area="east")
    page = client.get("/duplicates").text
    assert page.count("<tr ") == 5
    assert "甲3" in page
    assert "somebody elsewhere" in page
    assert "乙" not in page
    across, whole = hits["same_face0.8"], hits["same_face0.9"]
    assert across not in page
    assert client.get(f"/duplicates/{whole}").status_code == 200
    assert client.get(f"/duplicates/{across}").status_code == 404
    assert client.get(f"/duplicates/{across}").text == client.get("/duplicates/none").text
    assert _say(client, across).status_code == 404
    assert client.get(f"/duplicates/{hits['same_person']}").status_code == 404
    assert office.rows("SELECT 1 FROM approvals") == []


def test_both_sides_stand_beside_each_other_with_what_overlaps(
    hits: dict[str, str], office: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in("reviewer").get(f"/duplicates/{hits['same_face0.9']}").text
    assert "甲1" in page
    assert "甲2" in page
    assert "86" in page
    assert "not allowed" in page
    assert "2010-01-01 – 2011-12-31" in page
    assert "2001-07-01 – today" in page
    assert "99999919400101" not in page
    assert '<span lang="en">one scheme pays one person once' in page
    chinese = sign_in("reviewer", language="zh").get(f"/duplicates/{hits['same_face0.9']}").text
    assert '<span lang="zh">同一险种对同一人只支付一次' in chinese
    assert "· 退休 ·" in chinese
    assert "· retired ·" in page
    viewed = office.rows("SELECT detail FROM audit_log WHERE action = 'duplicate_hit.viewed'")
    assert [row.detail["names"] for row in viewed] == [True, True]
    script = sign_in("reviewer").get(f"/duplicates/{hits['same_person']}").text
    assert "乙&lt;script&gt;5" in script
    assert "<script>5" not in script


def test_a_reason_that_an_agency_gives_in_one_language_is_shown_with_its_language(
    hits: dict[str, str], sign_in: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(
        '[schemes]\na = ["A"]\n[same_scheme]\nallowed = false\nbecause = "按本市规定"\n', encoding="utf-8"
    )
    page = sign_in("reviewer").get(f"/duplicates/{hits['same_face0.9']}").text
    assert '<span lang="zh">按本市规定</span> <span class="faint" lang="zh">(中文)</span>' in page
    chinese = sign_in("reviewer", language="zh").get(f"/duplicates/{hits['same_face0.9']}").text
    assert '<span lang="zh">按本市规定</span></td>' in chinese


def test_two_people_decide_and_a_second_look_is_needed_after_a_word(
    hits: dict[str, str], office: Any, sign_in: Callable[..., Any]
) -> None:
    hit = hits["same_face0.9"]
    first, second = sign_in("reviewer", name="陈一"), sign_in("reviewer", name="王二")
    assert _say(first, hit).headers["location"].endswith("hit_first_word")
    double = _say(first, hit)
    assert double.status_code == 409
    assert "since you saw this page" in double.text
    assert "twins" in double.text
    again = _say(first, hit, version="open:1")
    assert again.status_code == 409
    assert "second person" in again.text
    stale = _say(second, hit, verdict="same_person", reason="my own")
    assert stale.status_code == 409
    # Two persons are two opinions: nobody reads the first one before it is decided.
    seen = second.get(f"/duplicates/{hit}").text
    assert "Somebody gave a word" in seen
    assert [word for word in ("陈一", "twins") if word in seen] == []
    assert "twins" in first.get(f"/duplicates/{hit}").text
    assert _say(second, hit, version="open:1").headers["location"].endswith("hit_decided")
    late = _say(sign_in("reviewer", name="张三"), hit, version="open:1")
    assert late.status_code == 409
    assert _say(sign_in("reviewer", name="张三"), hit, version="different:2").status_code == 409
    assert "different people" in second.get("/duplicates?state=decided").text
    assert "陈一" in second.get(f"/duplicates/{hit}").text
    assert [row.state for row in office.rows("SELECT state FROM duplicate_hits WHERE hit_id = :id", id=hit)] == [
        "different"
    ]


def test_where_two_differ_it_is_unclear_and_taken_up_again(hits: dict[str, str], sign_in: Callable[..., Any]) -> None:
    hit = hits["benefits"]
    _say(sign_in("reviewer", name="陈一"), hit, "same_person")
    done = _say(sign_in("reviewer", name="王二"), hit, "different", version="open:1")
    assert done.headers["location"].endswith("hit_unclear")
    assert "unclear" in sign_in("reviewer").get("/duplicates?state=unclear").text
    assert _say(sign_in("reviewer", name="陈一"), hit, "different", version="unclear:2").status_code == 303


def test_a_word_needs_a_verdict_and_a_reason(hits: dict[str, str], sign_in: Callable[..., Any]) -> None:
    client = sign_in("reviewer", language="zh")
    hit = hits["benefits"]
    assert "请选择结论" in _say(client, hit, verdict="maybe").text
    empty = _say(client, hit, reason="")
    assert empty.status_code == 422
    assert "请填写姓名或理由" in empty.text
    assert "checked" in empty.text


@pytest.mark.parametrize(("role", "looks", "decides"), [("auditor", 200, 403), ("operator", 403, 403)])
def test_who_may_look_and_who_may_decide(
    hits: dict[str, str], sign_in: Callable[..., Any], role: str, looks: int, decides: int
) -> None:
    client = sign_in(role)
    page = client.get(f"/duplicates/{hits['benefits']}")
    assert page.status_code == looks
    assert "verdict" not in page.text
    assert client.get("/duplicates").status_code == looks
    assert _say(client, hits["benefits"]).status_code == decides


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("zh", 390), ("en", 1366)])
def test_duplicates_in_a_browser(hits: dict[str, str], browse: Callable[..., Any], language: str, width: int) -> None:
    seen = browse("reviewer", language=language, width=width)
    page = seen.go("/duplicates")
    page.locator("tbody a").first.click()
    page.wait_for_url(f"**/{hits['same_face0.9']}")
    page.check("#verdict-different")
    page.fill("#f-reason", "双胞胎")
    page.locator("form.card button").click()
    page.wait_for_url("**done=hit_first_word")
    expect(page.locator(".notice.good")).to_be_visible()
    assert re.search("双胞胎", page.content())
    seen.check(f"duplicates-hit-{language}-{width}")
    page = seen.go("/duplicates?state=waits")
    expect(page.locator("tbody tr")).to_have_count(1)
