"""Photographs sent by the browser: looked at beside the pages, with a report by file; wrong files, a second press, a restart."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from fleet.audit.log import entries
from fleet.intake import photo_files, photo_spool
from fleet.store import page_runs as stored
from fleet.store.page_runs import BY, PageRun
from fleet.web.beside import KINDS, Runs

pytestmark = pytest.mark.integration
PROGRAM = Path(__file__).with_name("photo_program.py")
RUN = "00112233aabbccdd"
Files = list[tuple[str, tuple[str, bytes, str]]]


@pytest.fixture
def gate(office: Any, tmp_path: Path) -> Iterator[Path]:
    """What lets slow pictures through; the program of the terminal is one that knows pictures by words in them."""
    path = tmp_path / "gate"
    references = office.settings.references.model_copy(update={"command": (sys.executable, str(PROGRAM), str(path))})
    office.settings = office.settings.model_copy(update={"references": references})
    yield path
    path.touch()


def picture(what: str) -> bytes:
    return b"\xff\xd8\xff" + what.encode()


def name(town: Any, serial: int, called: str) -> str:
    return f"{called}+{town.number_of(serial)}.jpg"


def photos(*found: tuple[str, bytes]) -> Files:
    return [("photos", (called, content, "image/jpeg")) for called, content in found]


def packed(*found: tuple[str, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for called, content in found:
            archive.writestr(called, content)
    return into.getvalue()


def send(client: Any, files: Files, **more: str) -> httpx.Response:
    fields = {"run_id": RUN, "ground": "statute", "form": "sealed", "unit": "某厂", **more}
    return client.send_form("/people/photos", fields, files=files)  # type: ignore[no-any-return]


def ended(client: Any, run_id: str = RUN) -> str:
    """The page of a run once it is ended."""
    deadline = time.monotonic() + 60
    while "progress?poll=1" in (shown := client.get(f"/people/photos/{run_id}").text):
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return str(shown)


def references(town: Any) -> int:
    return len(town.office.rows("SELECT 1 FROM references_"))


def test_every_file_has_its_line_and_what_is_in_order_enrols(
    gate: Path, town: Any, sign_in: Callable[..., Any]
) -> None:
    wang = town.add("王秀英")
    town.add("李秀英")
    client = sign_in("operator", area="east")
    sent = send(
        client,
        photos(
            (name(town, 1, "王秀英"), picture("one")),
            (name(town, 2, "王秀英"), picture("two")),
            (name(town, 2, "李秀英"), b"\x89PNG"),
            ("Thumbs.db", b"what an operating system adds"),
            ("photo.jpg", picture("nobody")),
        ),
    )
    assert (sent.status_code, sent.headers["location"]) == (303, f"/people/photos/{RUN}")
    shown = ended(client)
    for sentence in (
        "All photographs were looked at",
        "the person known by this number has another name",
        "not a JPG file",
        "must be name and document number",
        "某厂",
    ):
        assert sentence in shown
    assert "王秀英" not in shown
    assert town.number_of(1) not in shown
    (reference,) = town.office.rows("SELECT subject_id, capture FROM references_")
    assert (reference.subject_id, reference.capture) == (wang, "photo")
    assert town.office.rows("SELECT 1 FROM acts") == []
    chinese = sign_in("fleet_administrator", language="zh").get(f"/people/photos/{RUN}").text
    assert "姓名与名册中该证件号码的姓名不一致" in chinese
    with town.office.database.begin() as connection:
        done = [each.action for each in entries(connection, object_kind="photo_import", object_id=RUN)]
    assert sorted(done) == ["photos.imported", "photos.sent"]
    assert "refused" not in client.get(f"/people/photos/{RUN}?result=accepted").text.partition("<tbody")[2]


def test_the_report_can_be_had_as_a_file(gate: Path, town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east", language="zh")
    send(client, photos((name(town, 1, "王秀英"), picture("one, blue"))))
    ended(client)
    report = client.get(f"/people/photos/{RUN}/report.csv").content.decode("utf-8-sig")
    assert "背景应为白色" in report
    assert "序号" in report


def test_only_people_of_the_visitors_areas_are_enrolled_and_nobody_elsewhere_is_given_away(
    gate: Path, town: Any, sign_in: Callable[..., Any]
) -> None:
    town.add("王秀英", "V3")
    client = sign_in("operator", area="east")
    send(client, photos((name(town, 1, "王秀英"), picture("one")), (name(town, 1, "别名"), picture("two"))))
    shown = ended(client)
    assert shown.count("nobody is known by this document number") == 2
    assert references(town) == 0
    assert f"/people/photos/{RUN}/files/" not in shown
    assert client.get(f"/people/photos/{RUN}/files/1").status_code == 404
    # Nor is a run shown to anybody but who sent it, or has the whole fleet.
    assert sign_in("operator", area="east").get(f"/people/photos/{RUN}").status_code == 404
    assert RUN not in sign_in("operator", area="east").get("/people/photos").text
    assert RUN in sign_in("fleet_administrator").get("/people/photos").text


def test_to_look_only_stores_nothing(gate: Path, town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east")
    send(client, photos((name(town, 1, "王秀英"), picture("one"))), look_only="yes")
    assert "nothing was taken in" in ended(client)
    assert references(town) == 0
    assert "It would enrol the person" in client.get(f"/people/photos/{RUN}/files/1").text


def test_a_photograph_stands_beside_the_reference_and_the_special_certification_of_before(
    gate: Path, town: Any, sign_in: Callable[..., Any]
) -> None:
    wang = town.add("王秀英")
    town.office.hold_references()
    client = sign_in("operator", area="east")
    opened = client.send_form(
        "/cases/new", {"who": wang, "asked": "special:bedridden", "seen_on": "2026-11-19", "note": ""}
    )
    case = opened.headers["location"].partition("?")[0]
    send(client, photos((name(town, 1, "王秀英"), picture("one"))))
    ended(client)
    shown = client.get(f"/people/photos/{RUN}/files/1").text
    assert "live session" in shown
    assert "photograph, not confirmed" in shown
    assert "a photograph cannot show whether somebody is alive" in shown
    assert f'href="{case}"' in shown
    assert "with a reason" in shown
    assert "<img" not in shown
    assert "subject.form_viewed" in town.actions(wang)
    assert client.get(f"/people/photos/{RUN}/files/2").status_code == 404
    assert client.get(f"/people/photos/{RUN}/files/x").status_code == 404


def test_a_second_press_is_the_same_run(gate: Path, town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east")
    files = photos((name(town, 1, "王秀英"), picture("one, slow")))
    assert send(client, files).headers["location"] == send(client, files).headers["location"]
    gate.touch()
    ended(client)
    assert len(town.office.rows("SELECT 1 FROM page_runs")) == 1
    # And sent anew by a form of its own, it is recognised.
    assert send(client, files, run_id="ff" * 8).status_code == 303
    assert "Known already" in ended(client, "ff" * 8)
    assert references(town) == 1


def test_an_archive_says_for_every_file_what_is_wrong_with_it(
    gate: Path, town: Any, sign_in: Callable[..., Any]
) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east")
    content = packed(
        (f"folder/{name(town, 1, '王秀英')}", picture("one")),
        (f"../../{name(town, 1, '王秀英')}", picture("outside")),
        (f"bomb+{town.number_of(1)}.jpg", bytes(8 * 1024 * 1024)),
        ("__MACOSX/._x.jpg", b"what an operating system adds"),
    )
    sent = send(client, [("photos", ("photos.zip", content, "application/zip"))])
    assert sent.status_code == 303
    shown = ended(client)
    assert "a path that leads outside" in shown
    assert "unpacks to far more than a photograph" in shown
    assert references(town) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04 cut off", "A ZIP is damaged"),
        (packed(("a.jpg", picture("one")))[:-30], "A ZIP is damaged"),
        (packed(), "There is no photograph"),
        (packed(("Thumbs.db", b"x")), "There is no photograph"),
    ],
    # An archive has its hour in it, which is another one in each process.
    ids=["no archive", "cut off", "empty", "no photograph"],
)
def test_a_bad_archive_is_refused_whole(
    gate: Path, town: Any, sign_in: Callable[..., Any], content: bytes, sentence: str
) -> None:
    client = sign_in("operator", area="east")
    sent = send(client, [("photos", ("photos.zip", content, "application/zip"))])
    assert sent.status_code == 422
    assert sentence in sent.text
    assert 'value="某厂"' in sent.text
    assert town.office.rows("SELECT 1 FROM page_runs") == []


def test_what_is_too_much_is_refused_before_anything_is_done(
    gate: Path, town: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("operator", area="east")
    two = photos(("a.jpg", picture("one")), ("b.jpg", picture("two")))
    with monkeypatch.context() as small:
        small.setattr(photo_spool, "MAX_SPOOL_BYTES", 8)
        assert "send them in parts" in send(client, two).text
    with monkeypatch.context() as small:
        small.setattr(photo_spool, "MAX_FILES", 1)
        assert "More than" in send(client, two).text
    with monkeypatch.context() as small:
        small.setattr(photo_files, "MAX_FILES", 1)
        archive = packed(("a.jpg", b"x"), ("b.jpg", b"y"))
        assert "More than 1 files" in send(client, [("photos", ("p.zip", archive, "application/zip"))]).text
    assert "There is no photograph" in send(client, []).text
    for wrong in ({"ground": "none"}, {"form": "other"}, {"run_id": "../x"}):
        assert send(client, two, **wrong).status_code == 422
    assert send(client, two, unit="厂" * 101).status_code == 422
    assert send(client, photos(*((f"{n}.jpg", b"x") for n in range(2_001)))).status_code == 400
    assert town.office.rows("SELECT 1 FROM page_runs") == []


def test_a_photograph_that_is_too_large_has_its_line(
    gate: Path, town: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_files, "MAX_PICTURE_BYTES", 64)
    town.add("王秀英")
    client = sign_in("operator", area="east")
    send(client, photos((name(town, 1, "王秀英"), picture("one") + bytes(100))))
    assert "bytes, at most 64 are taken" in ended(client)


def test_a_run_can_be_watched_left_and_stopped(gate: Path, town: Any, sign_in: Callable[..., Any]) -> None:
    for called in ("王秀英", "李秀英", "张秀英"):
        town.add(called)
    client = sign_in("operator", area="east")
    send(
        client,
        photos(
            (name(town, 1, "王秀英"), picture("one")),
            (name(town, 2, "李秀英"), picture("two, slow")),
            (name(town, 3, "张秀英"), picture("three")),
        ),
    )
    deadline = time.monotonic() + 60
    while "1 of 3 photographs" not in client.get(f"/runs/{RUN}/progress?poll=1").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stopped = client.send_form(f"/runs/{RUN}/stop")
    assert stopped.headers["location"].endswith("done=run_stopping")
    gate.touch()
    assert "It was stopped before the last photograph" in ended(client)
    assert references(town) == 2
    gone = client.get(f"/runs/{RUN}/progress?poll=1")
    assert gone.headers["hx-redirect"] == f"/people/photos/{RUN}"
    assert client.send_form(f"/runs/{RUN}/stop").headers["location"].endswith("done=run_ended")


def test_a_program_that_does_not_work_is_told_and_what_was_accepted_stays(
    gate: Path, town: Any, sign_in: Callable[..., Any]
) -> None:
    town.add("王秀英")
    town.add("李秀英")
    client = sign_in("operator", area="east")
    send(client, photos((name(town, 1, "王秀英"), picture("one")), (name(town, 2, "李秀英"), picture("crash"))))
    shown = ended(client)
    assert "The program that looks at photographs does not work" in shown
    assert references(town) == 1


def test_a_run_of_before_a_restart_is_told_to_be_interrupted(
    gate: Path, town: Any, sign_in: Callable[..., Any]
) -> None:
    client = sign_in("fleet_administrator")
    office = town.office
    sealed = office.keys.cipher.encrypt("Li", subject_id=RUN, field_name=BY)
    asked = {"unit": None, "form": "none", "legal_basis": "statute", "is_dry": False, "files": 9}
    with office.database.begin() as connection:
        stored.add_run(connection, PageRun(RUN, "photos", "a", sealed, "of before", office.now, asked))
    assert "the service was started anew" in client.get(f"/people/photos/{RUN}").text
    assert [row.state for row in office.rows("SELECT state FROM page_runs")] == ["interrupted"]


def test_a_run_that_another_program_works_on_is_left_to_it(
    gate: Path, town: Any, sign_in: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east")
    send(client, photos((name(town, 1, "王秀英"), picture("one, slow"))))
    office = town.office
    other = Runs(office.database, office.keys.cipher, clock=office.clock)
    with office.database.begin() as connection:
        run = stored.find_run(connection, RUN)
    assert run is not None
    eventually(lambda: other.looked_at(run).state == "running", "its turn")
    gate.touch()
    ended(client)


def test_more_runs_than_there_is_room_for_are_refused(gate: Path, town: Any, sign_in: Callable[..., Any]) -> None:
    town.add("王秀英")
    client = sign_in("operator", area="east")
    files = photos((name(town, 1, "王秀英"), picture("one, slow")))
    for number in range(KINDS["photos"].most):
        assert send(client, files, run_id=f"{number:016x}").status_code == 303
    full = send(client, files)
    assert full.status_code == 409
    assert "when one of them has ended" in full.text
    gate.touch()
    for number in range(KINDS["photos"].most):
        ended(client, f"{number:016x}")
    assert send(client, files).status_code == 303
    ended(client)


def test_photographs_are_chosen_again_after_a_session_that_was_over(
    gate: Path, town: Any, person: Callable[..., Any]
) -> None:
    town.add("王秀英")
    wang = person("王芳")
    wang.set_up()
    page = wang.client.get("/people/photos")
    fields = {**wang.fields_of(page), "ground": "statute", "form": "sealed", "unit": "某厂"}
    town.office.now += timedelta(hours=9)
    files = photos((name(town, 1, "王秀英"), picture("one")), ("b.jpg", picture("two")))
    late = wang.client.post("/people/photos", data=fields, files=files)
    assert late.status_code == 401
    assert town.number_of(1) not in late.text
    shown = wang.sign_in(late)
    assert "某厂" in shown.text
    assert "Choose this file again: 2 files" in shown.text
    assert 'type="file" name="photos" multiple' in shown.text
    assert town.office.rows("SELECT 1 FROM page_runs") == []
    fields = {**fields, **wang.fields_of(shown)}
    again = wang.client.post("/people/photos", data=fields, files=files)
    assert again.status_code == 303
    assert "Accepted" in ended(wang.client, fields["run_id"])


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1366, 390])
def test_photographs_in_a_browser(gate: Path, town: Any, browse: Callable[..., Any], language: str, width: int) -> None:
    town.add("王秀英")
    town.add("李秀英")
    town.office.hold_references()
    seen = browse("operator", area="east", language=language, width=width)
    page = seen.go("/people/photos")
    seen.check(f"photos-form-{language}-{width}")
    page.set_input_files(
        "#f-photos",
        [
            {"name": name(town, 1, "王秀英"), "mimeType": "image/jpeg", "buffer": picture("one")},
            {"name": name(town, 2, "李秀英"), "mimeType": "image/jpeg", "buffer": picture("two, blue, slow")},
            {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": picture("three")},
        ],
    )
    page.select_option("#f-ground", "statute")
    page.select_option("#f-form", "sealed")
    page.fill("#f-unit", "某厂")
    page.click("main form button")
    expect(page.locator("progress")).to_be_visible()
    seen.check(f"photos-running-{language}-{width}")
    gate.touch()
    expect(page.locator(".notice.good")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(3)
    seen.check(f"photos-run-{language}-{width}")
    page.locator("tbody a").first.click()
    expect(page.locator("#h-before")).to_be_visible()
    seen.check(f"photos-beside-{language}-{width}")
