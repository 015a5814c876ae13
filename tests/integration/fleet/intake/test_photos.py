"""Photographs taken in from files, on a real database; the terminal's program is the real one where a face matters."""

from __future__ import annotations

import base64
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result as Ran
from PIL import Image

from fleet.audit.log import entries
from fleet.errors import FleetError, Refused
from fleet.intake.photo_checking import photo_program
from fleet.intake.photo_files import PhotoFile, photo_files
from fleet.intake.photo_judging import Reason
from fleet.intake.photo_report import report_csv, report_data
from fleet.intake.photos import Form, PhotoImport, PhotoIntake, PhotoRules, Result, import_photos
from fleet.references.enrol import withdraw
from protocol.capture import FeatureReport
from protocol.documents import check_digit
from protocol.photo_files import PhotoReport
from protocol.policy import default_policy
from protocol.references import LegalBasis

pytestmark = pytest.mark.integration

PROGRAM = """
import base64, hashlib, sys
import numpy as np
from fleet.references.enrol import withdraw
from protocol.capture import FeatureReport
from protocol.photo_files import PhotoFileCheck, PhotoReport, read_framed
from protocol.policy import default_policy
while (picture := read_framed(sys.stdin.buffer)) is not None:
    digest = hashlib.sha256(picture).hexdigest()
    if b"crash" in picture:
        sys.exit(1)
    vector = np.random.default_rng(int(digest[:8], 16)).normal(size=128)
    vector = (vector / np.linalg.norm(vector)).astype("<f4")
    features = FeatureReport(features=base64.b64encode(vector.tobytes()).decode(), model_name="features",
        model_sha256="d" * 64, runtime="test", quality=dict.fromkeys(default_policy().quality.minimum, 100.0),
        overall_quality=80.0)
    check = PhotoFileCheck(name="white_ground", passed=b"blue" not in picture, found=0.4, asked=0.8)
    print(PhotoReport(sha256=digest, width_px=480, height_px=672, checks=(check,), features=features)
        .to_bytes().decode(), flush=True)
"""
"""The contract of `lifecert-terminal check-photos - --json` for pictures that are none: a blue one has another ground."""


def number(serial: int) -> str:
    first = f"99999919400101{serial:03d}"
    return first + check_digit(first)


def picture(what: str) -> bytes:
    return b"\xff\xd8\xff" + what.encode()


def good_features() -> FeatureReport:
    vector = np.zeros(128, "<f4")
    vector[0] = 1.0
    return FeatureReport(
        features=base64.b64encode(vector.tobytes()).decode(),
        model_name="features",
        model_sha256="d" * 64,
        runtime="test",
        quality=dict.fromkeys(default_policy().quality.minimum, 100.0),
        overall_quality=80.0,
    )


@pytest.fixture
def take(office: Any, tmp_path: Path) -> Callable[..., PhotoImport]:
    office.import_people(3)
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    rules = PhotoRules(default_policy().quality.minimum, "d1", 36, office.settings.zone())

    def taken(files: dict[str, bytes], **more: Any) -> PhotoImport:
        path = tmp_path / "photos.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        intake = PhotoIntake(**{"legal_basis": LegalBasis.STATUTE, "by": "Li", **more})
        with photo_files(path) as found, photo_program((sys.executable, str(script)), timeout_s=60) as looker:
            return import_photos(office.database, office.keys, found, looker, intake, rules, clock=office.clock)

    return taken


def outcome(done: PhotoImport) -> list[tuple[Result, list[Reason]]]:
    return [(line.result, [fault.reason for fault in line.faults]) for line in done.lines]


def test_r1_12_r1_19_a_photograph_enrols_provisionally_and_certifies_nobody(
    office: Any, take: Callable[..., PhotoImport]
) -> None:
    done = take({f"甲1+{number(1)}.jpg": picture("one")}, unit="某厂", form=Form.SEALED)
    (line,) = done.lines
    (reference,) = office.rows("SELECT * FROM references_")
    assert (line.result, line.reference_id, line.subject_id) == (
        Result.ACCEPTED,
        reference.reference_id,
        reference.subject_id,
    )
    assert (reference.capture, reference.legal_basis) == ("photo", "statute")
    assert office.rows("SELECT last_pass_at FROM statuses WHERE last_pass_at IS NOT NULL") == []
    assert office.rows("SELECT act_id FROM acts") == []


def test_r1_9_the_photographs_of_everybody_who_retires_this_month_enrol_them_in_one_batch(
    office: Any, take: Callable[..., PhotoImport]
) -> None:
    done = take({f"甲{n}+{number(n)}.jpg": picture(f"retiring {n}") for n in (1, 2, 3)}, unit="某厂", form=Form.SEALED)
    assert outcome(done) == [(Result.ACCEPTED, [])] * 3
    enrolled = office.rows("SELECT subject_id, capture FROM references_")
    assert {row.subject_id for row in enrolled} == set(office.people)
    assert {row.capture for row in enrolled} == {"photo"}


def test_r1_15_the_name_and_the_number_must_both_fit_one_person(office: Any, take: Callable[..., PhotoImport]) -> None:
    wrong = number(1)[:17] + ("0" if number(1)[17] != "0" else "1")
    done = take(
        {
            f"乙+{number(1)}.jpg": picture("other name"),
            f"甲+{number(9)}.jpg": picture("nobody"),
            f"甲1+{wrong}.jpg": picture("mistyped"),
            "甲1.jpg": picture("no number"),
            f"甲2_{number(2)}.jpg": picture("fits"),
        }
    )
    assert outcome(done) == [
        (Result.REFUSED, [Reason.OTHER_NAME]),
        (Result.REFUSED, [Reason.UNKNOWN_PERSON]),
        (Result.REFUSED, [Reason.NUMBER_WRONG]),
        (Result.REFUSED, [Reason.NAME_FORM]),
        (Result.ACCEPTED, []),
    ]
    assert len(office.rows("SELECT reference_id FROM references_")) == 1


def test_r1_13_r1_17_every_reason_is_told_at_once(take: Callable[..., PhotoImport]) -> None:
    done = take(
        {
            f"乙+{number(1)}.jpg": picture("blue, other name") + bytes(2 * 1024 * 1024),
            f"甲2+{number(2)}.png": b"\x89PNG",
        }
    )
    assert outcome(done) == [
        (Result.REFUSED, [Reason.OTHER_NAME, Reason.BYTES, Reason.WHITE_GROUND]),
        (Result.REFUSED, [Reason.FORMAT]),
    ]


def test_the_same_picture_again_is_told_and_stored_once(office: Any, take: Callable[..., PhotoImport]) -> None:
    files = {f"甲1+{number(1)}.jpg": picture("one"), f"甲2+{number(2)}.jpg": picture("two")}
    take(files)
    again = take({**files, f"甲3+{number(3)}.jpg": picture("three")})
    assert [line.result for line in again.lines] == [Result.REPEATED, Result.REPEATED, Result.ACCEPTED]
    assert len(office.rows("SELECT reference_id FROM references_")) == 3


def test_two_imports_at_once_enrol_one_picture_once(office: Any, take: Callable[..., PhotoImport]) -> None:
    files = {f"甲1+{number(1)}.jpg": picture("one")}
    rules = PhotoRules(default_policy().quality.minimum, "d1", 36, office.settings.zone())
    report = PhotoReport(sha256="d" * 64, width_px=480, height_px=672, checks=(), features=good_features())

    class Overtaken:
        """The other import goes all the way while this one looks."""

        def look(self, content: bytes) -> PhotoReport:
            assert [line.result for line in take(files).lines] == [Result.ACCEPTED]
            return report

    file = PhotoFile(1, next(iter(files)), picture("one"))
    intake = PhotoIntake(LegalBasis.STATUTE, "Wang")
    done = import_photos(office.database, office.keys, [file], Overtaken(), intake, rules, clock=office.clock)
    assert [line.result for line in done.lines] == [Result.REPEATED]
    assert len(office.rows("SELECT reference_id FROM references_")) == 1


def test_a_picture_that_was_withdrawn_does_not_come_back_with_the_next_batch(
    office: Any, take: Callable[..., PhotoImport]
) -> None:
    files = {f"甲1+{number(1)}.jpg": picture("one")}
    (line,) = take(files).lines
    withdraw(office.database, office.keys, line.reference_id, now=office.now)
    assert [line.result for line in take(files).lines] == [Result.REPEATED]
    assert office.rows("SELECT reference_id FROM references_ WHERE withdrawn_at IS NULL") == []


def test_one_picture_for_two_people_and_two_for_one_are_refused(take: Callable[..., PhotoImport]) -> None:
    done = take(
        {
            f"甲1+{number(1)}.jpg": picture("one"),
            f"甲2+{number(2)}.jpg": picture("one"),
            f"甲1 {number(1)}.jpg": picture("another"),
        }
    )
    assert outcome(done) == [
        (Result.ACCEPTED, []),
        (Result.REFUSED, [Reason.OTHER_PERSONS_PICTURE]),
        (Result.REFUSED, [Reason.SECOND_PICTURE]),
    ]


def test_a_dry_run_says_the_same_and_stores_nothing(office: Any, take: Callable[..., PhotoImport]) -> None:
    files = {f"甲1+{number(1)}.jpg": picture("one"), f"甲2+{number(2)}.jpg": picture("blue")}
    dry = take(files, is_dry=True)
    assert (
        office.rows("SELECT 1 FROM references_ UNION SELECT 1 FROM photo_files UNION SELECT 1 FROM photo_imports") == []
    )
    assert outcome(dry) == outcome(take(files))


def test_r1_16_the_form_and_its_seal_are_recorded_with_who_took_it_in(
    office: Any, take: Callable[..., PhotoImport]
) -> None:
    done = take({f"甲1+{number(1)}.jpg": picture("one"), "x.jpg": b""}, unit=" 某厂 ", form=Form.SEALED)
    (row,) = office.rows("SELECT * FROM photo_imports")
    assert (row.unit, row.form, row.accepted, row.refused, row.repeated) == ("某厂", "sealed", 1, 1, 0)
    by = office.keys.cipher.decrypt(bytes(row.taken_by_sealed), subject_id=done.import_id, field_name="taken_by")
    assert by == "Li"
    with office.database.begin() as connection:
        actions = [entry.action for entry in entries(connection)]
    assert actions == ["reference.enrolled", "photos.imported"]


def test_a_name_that_cannot_be_taken_stops_before_anything_is(office: Any, take: Callable[..., PhotoImport]) -> None:
    with pytest.raises(Refused, match="name"):
        take({f"甲1+{number(1)}.jpg": picture("one")}, unit="x" * 101)
    assert office.rows("SELECT reference_id FROM references_") == []


def test_a_program_that_ends_in_the_middle_leaves_what_was_done_and_the_rest_goes_on_later(
    office: Any, take: Callable[..., PhotoImport]
) -> None:
    files = {f"甲1+{number(1)}.jpg": picture("one"), f"甲2+{number(2)}.jpg": picture("crash")}
    with pytest.raises(FleetError, match="ended without an answer"):
        take(files)
    files[f"甲2+{number(2)}.jpg"] = picture("two")
    assert [line.result for line in take(files).lines] == [Result.REPEATED, Result.ACCEPTED]


def test_the_report_has_both_languages_and_neither_names_nor_numbers(take: Callable[..., PhotoImport]) -> None:
    done = take({f"甲1+{number(1)}.jpg": picture("blue"), f"乙+{number(2)}.jpg": picture("two")})
    data = report_data(done, is_dry=False)
    assert data["counts"] == {"accepted": 0, "refused": 2, "repeated": 0}
    (reason,) = data["files"][0]["reasons"]
    assert (reason["code"], reason["found"], reason["asked"]) == ("white_ground", "0.4", "0.8")
    assert "白色" in reason["zh"]
    assert "white" in reason["en"]
    for language in ("zh", "en"):
        text = report_csv(done, language).decode("utf-8-sig")
        assert len(text.splitlines()) == 3
        for private in ("甲1", "乙", number(1), number(2)):
            assert private not in text + json.dumps(data, ensure_ascii=False)
    assert report_csv(done, "zh").decode("utf-8-sig").splitlines()[2].endswith("姓名与名册中该证件号码的姓名不一致")


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]], make_data_dir: Callable[[], Path], database_url: str
) -> Callable[..., Ran]:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')

    invoke = program_in(folder)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    (folder / "people.csv").write_text(
        "证件号码,姓名,地区,险种,人员类别,待遇领取日期\n"
        + "".join(f"{number(n)},甲{n},east,pension,retired,2001-07-01\n" for n in (1, 2, 3)),
        encoding="gbk",
    )
    assert invoke("import-subjects", "people.csv").exit_code == 0
    return invoke


def test_photographs_of_rendered_people_go_through_the_terminals_own_program(
    run: Callable[..., Ran], tmp_path: Path, studio: Callable[..., Image.Image], jpeg_of: Callable[..., bytes]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / f"1 甲1+{number(1)}.jpg").write_bytes(jpeg_of(studio("pine")))
    (folder / f"甲1+{number(1)}.jpg").write_bytes(jpeg_of(studio("pine")))
    (folder / f"甲2+{number(2)}.jpg").write_bytes(jpeg_of(studio("birch")))
    (folder / f"甲3+{number(3)}.jpg").write_bytes(jpeg_of(studio("peony", "steelblue")))
    done = run("photos", "import", str(folder), "--by", "Li", "--basis", "statute", "--json")
    assert done.exit_code == 1, done.output
    found = json.loads(done.stdout)["files"]
    assert [(f["result"], [reason["code"] for reason in f["reasons"]]) for f in found] == [
        ("refused", ["other_name"]),
        ("accepted", []),
        ("refused", ["bare_head"]),
        ("refused", ["white_ground"]),
    ]
    report = tmp_path / "report.csv"
    again = run("photos", "import", str(folder), "--by", "Li", "--basis", "statute", "--report", str(report))
    assert "重复" in report.read_text(encoding="utf-8-sig")
    assert "4 files: 0 accepted, 3 refused, 1 repeated" in again.stderr
    assert json.loads(run("photos", "list", "--json").stdout)["imports"][0]["by"] == "Li"
    assert run("photos", "import", str(folder / "none"), "--by", "Li", "--basis", "statute").exit_code == 2
