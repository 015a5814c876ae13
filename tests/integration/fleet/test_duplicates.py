"""People listed or paid twice: found, shown to people, decided by two, and not asked about again."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from fleet.duplicates import benefits as lists
from fleet.duplicates import queue
from fleet.duplicates.combinations import load_combinations
from fleet.duplicates.matrix import Blocking
from fleet.duplicates.search import Wanted, search
from fleet.errors import ImportRefused, NotFound, Refused, SettingsInvalid
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.references.domains import rotate
from fleet.store import subjects
from fleet.store.subjects import Benefit
from fleet.updates import calibration
from protocol.documents import DocumentKind, check_digit, claim_token, parse_document
from protocol.references import protect, rekey

pytestmark = pytest.mark.integration
NETWORK = "features_mobilefacenet"
EVERYBODY = Blocking(same_sex=False, birth_years=None)
SIZE = 128


def give(office: Any, subject_id: str, face: int, *, model: str = "d", noise: float = 0.0, at: int = 10) -> str:
    """Give a subject the reference of a face; faces of other numbers are strangers."""
    rng = np.random.default_rng(face)
    common = np.random.default_rng(0).normal(size=SIZE) * 0.35
    values = rng.normal(size=SIZE) + common
    values = values + noise * np.random.default_rng(face + 10_000).normal(size=SIZE)
    features = protect(np.asarray(values / np.linalg.norm(values), np.float32), office.keys.feature_keys["d1"])
    reference_id = np.random.default_rng([face, int(noise * 100), at]).bytes(16).hex()
    with office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain, quality,"
                " capture, legal_basis, captured_at, valid_until) VALUES (:subject, :reference, :features, :model, 'test',"
                " 'd1', 80, 'live', 'consent', :at, '2029-11-20')"
            ),
            {
                "subject": subject_id,
                "reference": reference_id,
                "features": features.tobytes(),
                "model": model * 64,
                "at": office.now - timedelta(days=at),
            },
        )
    return reference_id


def run(office: Any, **changes: Any) -> Any:
    wanted = Wanted(**{"network": NETWORK, "blocking": EVERYBODY, "fpir": 0.01, "most_hits": 100, **changes})
    return search(office.database, wanted, clock=office.clock)


def pairs(office: Any) -> list[tuple[str, str]]:
    return [
        (row.first_subject, row.second_subject)
        for row in office.rows("SELECT * FROM duplicate_hits WHERE kind = 'same_face' ORDER BY 1")
    ]


def decide(office: Any, hit_id: str, verdict: Any, by: str) -> Any:
    with office.database.begin() as connection:
        return queue.decide(
            connection, office.keys.cipher, hit_id, verdict, by=by, reason="looked at both files", now=office.now
        )


@pytest.fixture
def twice(office: Any) -> list[str]:
    """Thirty people, the first two of them with one face."""
    office.import_people(30)
    who = list(office.people)
    for place, subject_id in enumerate(who):
        give(office, subject_id, 1 if place == 1 else place + 1, noise=0.2 if place == 1 else 0.0)
    give(office, who[0], 1, noise=0.1, at=5)
    # The first two places have face 1; the others strangers' faces.
    return who


def test_r8_11_feature_16_the_same_face_under_two_ids_is_found_and_nothing_else_follows(
    office: Any, twice: list[str]
) -> None:
    before = office.rows("SELECT * FROM statuses ORDER BY subject_id")
    (done,) = run(office).searches
    assert pairs(office) == [tuple(sorted(twice[:2]))]
    assert (done.people, done.references, done.new, done.hits) == (30, 31, 31, 1)
    assert done.comparisons >= 31 * 30 / 2
    assert (done.basis, done.threshold) == ("uncalibrated", 0.75)
    assert done.expected_false_hits == pytest.approx(done.comparisons * 4 / 7.3e6)
    (hit,) = office.rows("SELECT * FROM duplicate_hits")
    assert (hit.state, hit.decided_at, hit.key_domain) == ("open", None, "d1")
    assert hit.score > 0.75
    assert office.rows("SELECT * FROM statuses ORDER BY subject_id") == before


def test_a_search_compares_only_what_is_new_with_everything(office: Any, twice: list[str]) -> None:
    run(office)
    (again,) = run(office).searches
    assert (again.new, again.comparisons, again.hits, again.comparisons_per_s) == (0, 0, 0, None)
    office.import_people(1, first=31)
    newcomer = list(office.people)[-1]
    give(office, newcomer, 5, noise=0.2)
    (later,) = run(office).searches
    assert (later.new, later.hits) == (1, 1)
    assert tuple(sorted((newcomer, twice[4]))) in pairs(office)
    # Asked in another way it is another search: everything is compared again, and no hit is stored twice.
    (other,) = run(office, blocking=Blocking(same_sex=True, birth_years=10)).searches
    assert (other.new, other.hits) == (32, 0)


def test_a_search_that_was_cut_off_goes_on_where_it_was(office: Any, twice: list[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("fleet.duplicates.matrix.Gallery.search.__kwdefaults__", {"rows": 8, "columns": 16})

    def stop(done: int, _total: int) -> None:
        if done >= 16:
            raise KeyboardInterrupt

    wanted = Wanted(NETWORK, EVERYBODY, 0.01, 100)
    with pytest.raises(KeyboardInterrupt):
        search(office.database, wanted, clock=office.clock, on_progress=stop)
    assert len(office.rows("SELECT 1 FROM duplicate_searched")) == 16
    (rest,) = run(office).searches
    assert rest.new == 15
    assert pairs(office) == [tuple(sorted(twice[:2]))]
    assert len(office.rows("SELECT 1 FROM duplicate_searched")) == 31


def test_blocking_by_the_documents_leaves_out_who_cannot_be_one_person(office: Any, twice: list[str]) -> None:
    # Serial numbers of the fixture alternate between the sexes.
    (done,) = run(office, blocking=Blocking(same_sex=True, birth_years=0)).searches
    assert done.hits == 0
    run(office, blocking=Blocking(same_sex=False, birth_years=0))
    assert pairs(office) == [tuple(sorted(twice[:2]))]


def test_an_area_is_searched_alone(office: Any) -> None:
    office.import_people(2)
    office.import_people(1, area="west", first=3)
    for subject_id in office.people:
        give(office, subject_id, 7, noise=len(subject_id) / 1000)
    (done,) = run(office, area="east").searches
    assert (done.people, done.hits) == (2, 1)


def test_other_networks_and_other_key_domains_are_told_and_not_compared(office: Any, twice: list[str]) -> None:
    office.import_people(1, first=40)
    stranger = list(office.people)[-1]
    give(office, stranger, 1, model="e")
    with pytest.raises(Refused, match=r"several networks.*--model"):
        run(office)
    done = run(office, model_sha256="dd")
    assert done.left_out == (("e" * 64, "d1", 1),)
    assert stranger not in {who for pair in pairs(office) for who in pair}
    # In another key domain the same features have nothing in common with those that stayed.
    moved = rekey(
        np.frombuffer(office.rows("SELECT features FROM references_ LIMIT 1")[0].features, np.int8),
        b"a" * 32,
        b"b" * 32,
    )
    with office.database.begin() as connection:
        connection.execute(
            text(
                "UPDATE references_ SET key_domain = 'd2', model_sha256 = repeat('d', 64), features = :f WHERE subject_id = :who"
            ),
            {"who": stranger, "f": moved.tobytes()},
        )
    assert [(each.key_domain, each.people) for each in run(office).searches] == [("d1", 30), ("d2", 1)]


def test_new_keys_for_all_references_bring_no_decided_hit_back(office: Any, twice: list[str]) -> None:
    run(office)
    (hit,) = office.rows("SELECT hit_id FROM duplicate_hits")
    decide(office, hit.hit_id, "different", "Zhao")
    decide(office, hit.hit_id, "different", "Qian")
    rotate(office.database, office.keys, "d1", now=office.now)
    (done,) = run(office).searches
    assert (done.key_domain, done.new, done.hits) == ("d1-r1", 31, 0)
    assert [row.state for row in office.rows("SELECT state FROM duplicate_hits")] == ["different"]


def test_a_calibration_makes_the_threshold_stricter_than_that_of_a_session(office: Any, twice: list[str]) -> None:
    wanted = calibration.Wanted(NETWORK, 1e-2, 1e-2)
    proposal = calibration.propose(
        office.database, office.keys, wanted, by="Zhao", now=office.now, today=date(2026, 11, 20)
    )
    for name in ("Zhao", "Qian"):
        calibration.approve(office.database, office.keys, proposal.calibration_id, by=name, now=office.now)
    (done,) = run(office).searches
    assert done.basis == "calibration"
    assert done.threshold > proposal.raw.match
    assert done.fpir is not None
    assert done.fpir <= 0.011
    # A few people more or fewer do not begin it all again; a laxer threshold does.
    office.import_people(1, first=31)
    give(office, list(office.people)[-1], 99)
    (more,) = run(office).searches
    assert (more.new, more.threshold) == (1, done.threshold)
    (laxer,) = run(office, fpir=0.5).searches
    assert laxer.threshold < done.threshold
    assert laxer.new == 32
    (stricter,) = run(office, fpir=0.001).searches
    assert (stricter.threshold > done.threshold, stricter.new) == (True, 0)


def test_too_many_hits_mean_a_wrong_threshold(office: Any, twice: list[str]) -> None:
    with pytest.raises(Refused, match=r"more than 10 hits at -1.000.*calibrate"):
        run(office, threshold=-1.0, most_hits=10)
    assert office.rows("SELECT 1 FROM duplicate_hits") == []


def test_without_references_or_thresholds_it_says_what_is_missing(office: Any) -> None:
    office.import_people(1)
    with pytest.raises(Refused, match="nothing to compare"):
        run(office)
    give(office, next(iter(office.people)), 1)
    with pytest.raises(Refused, match="no thresholds for network other"):
        run(office, network="other")
    with pytest.raises(Refused, match="no calibration"):
        run(office, network="features_dlib")


def test_r8_11_two_persons_decide_and_a_look_alike_is_asked_about_once(office: Any, twice: list[str]) -> None:
    run(office)
    (hit,) = office.rows("SELECT hit_id FROM duplicate_hits")
    assert decide(office, hit.hit_id, "different", "Zhao").state == "open"
    with pytest.raises(Refused, match="second person"):
        decide(office, hit.hit_id, "different", "zhao ")
    assert decide(office, hit.hit_id, "different", "Qian").state == "different"
    with pytest.raises(Refused, match="was decided as different"):
        decide(office, hit.hit_id, "same_person", "Sun")
    give(office, twice[0], 1, noise=0.15, at=1)
    assert run(office).searches[0].hits == 0
    with office.database.begin() as connection:
        assert queue.open_hits(connection) == []


def test_who_do_not_agree_leave_it_unclear_and_it_can_be_taken_up_again(office: Any, twice: list[str]) -> None:
    run(office)
    (hit,) = office.rows("SELECT hit_id FROM duplicate_hits")
    decide(office, hit.hit_id, "different", "Zhao")
    assert decide(office, hit.hit_id, "same_person", "Qian").state == "unclear"
    with office.database.begin() as connection:
        assert [each.state for each in queue.open_hits(connection)] == ["unclear"]
    decide(office, hit.hit_id, "same_person", "Zhao")
    assert decide(office, hit.hit_id, "same_person", "Qian").state == "same_person"
    actions = [row.action for row in office.rows("SELECT action FROM audit_log ORDER BY entry")]
    assert actions == [f"duplicate_hit.{what}" for what in ("first_word", "decided", "first_word", "decided")]


def test_names_are_shown_to_a_named_reader_only_and_every_look_is_written_down(office: Any, twice: list[str]) -> None:
    run(office)
    (hit,) = office.rows("SELECT hit_id FROM duplicate_hits")
    look = {"reader": "Zhao", "reason": "weekly round", "now": office.now}
    plain = queue.show(office.database, office.keys, hit.hit_id, with_names=False, **look)
    assert {side["subject_id"] for side in plain.sides} == set(twice[:2])
    assert all("name" not in side and side["benefits"][0]["scheme"] == "pension" for side in plain.sides)
    named = queue.show(office.database, office.keys, hit.hit_id, with_names=True, **look)
    assert {side["name"] for side in named.sides} == {"甲1", "甲2"}
    assert [row.detail["names"] for row in office.rows("SELECT detail FROM audit_log ORDER BY entry")] == [False, True]
    assert "weekly" not in json.dumps([row.detail for row in office.rows("SELECT detail FROM audit_log")])
    with pytest.raises(Refused):
        queue.show(office.database, office.keys, hit.hit_id, with_names=True, reader=" ", reason="x", now=office.now)
    with pytest.raises(NotFound):
        queue.show(office.database, office.keys, "0" * 32, with_names=False, **look)


def add_benefit(office: Any, subject_id: str, scheme: str, region: str = "east") -> None:
    with office.database.begin() as connection:
        subjects.save_benefit(connection, subject_id, Benefit(scheme, region, "retired", date(2010, 1, 1)))


def test_r8_11_feature_87_two_benefits_go_to_a_person_unless_the_table_allows_both(office: Any) -> None:
    office.import_people(4)
    one, two, three, _ = office.people
    add_benefit(office, one, "工伤保险")
    add_benefit(office, two, "城乡居民基本养老保险", "west")
    add_benefit(office, three, "高龄津贴")
    done = lists.check_lists(office.database, load_combinations(), now=office.now, zone=office.settings.zone())
    assert (done.people, done.suspicions, done.hits) == (3, 2, 2)
    found = {row.first_subject: row.what for row in office.rows("SELECT * FROM duplicate_hits")}
    assert found[two] == "pension (east) + 城乡居民基本养老保险 (west): not_allowed"
    assert found[three].endswith("not_listed")
    assert (
        lists.check_lists(office.database, load_combinations(), now=office.now, zone=office.settings.zone()).hits == 0
    )


def test_r8_11_one_id_on_the_lists_of_two_regions_goes_to_a_person(office: Any) -> None:
    office.import_people(2)
    assert office.rows("SELECT 1 FROM duplicate_hits") == []
    done = office.import_people(1, area="west")
    assert (done.new, done.changed) == (0, 1)
    (hit,) = office.rows("SELECT * FROM duplicate_hits")
    assert (hit.kind, hit.first_subject, hit.second_subject) == ("benefits", done.subject_ids[0], done.subject_ids[0])
    assert hit.what == "pension (east) + pension (west): not_allowed, or a move"
    # The same list again asks nobody anew.
    office.import_people(1, area="west")
    assert len(office.rows("SELECT 1 FROM duplicate_hits")) == 1


def import_documents(office: Any, *rows: tuple[str, DocumentKind | None, str, str]) -> list[str]:
    made = [
        SubjectRow(
            line,
            parse_document(number, kind, issuer="FRA" if kind is DocumentKind.PASSPORT else ""),
            name,
            area,
            Benefit("pension", area, "retired", date(2001, 7, 1)),
        )
        for line, (number, kind, name, area) in enumerate(rows, 2)
    ]
    return list(
        import_rows(office.database, office.keys, made, now=office.now, zone=office.settings.zone()).subject_ids
    )


def resident(digits: str) -> str:
    return digits + check_digit(digits)


def test_r8_11_one_person_under_two_documents_is_a_candidate_by_name_and_date_of_birth(office: Any) -> None:
    born = resident("62010219400101001")
    who = import_documents(
        office,
        (born, None, "王秀英", "east"),
        (resident("61010219400101003"), None, "王秀英", "west"),
        (resident("61010219500101003"), None, "王秀英", "east"),
        ("12AB34567", DocumentKind.PASSPORT, "王秀英", "east"),
        ("12AB34568", DocumentKind.PASSPORT, "王秀英", "north"),
    )
    done = lists.check_documents(office.database, office.keys.cipher, now=office.now)
    found = {
        frozenset((row.first_subject, row.second_subject)): row.what
        for row in office.rows("SELECT * FROM duplicate_hits")
    }
    assert done.hits == 3
    assert found == {
        frozenset((who[0], who[1])): "name and date of birth",
        frozenset((who[0], who[3])): "name and area",
        frozenset((who[2], who[3])): "name and area",
    }


def test_r8_11_the_15_and_the_18_digits_of_one_number_are_one_subject(office: Any) -> None:
    long = resident("62010219400101001")
    first, second = import_documents(office, (long, None, "王秀英", "east")) + import_documents(
        office, (long[:6] + long[8:17], None, "王秀英", "east")
    )
    assert first == second


def test_r8_11_a_list_of_another_system_is_compared_by_tokens_of_an_agreed_secret(office: Any, tmp_path: Path) -> None:
    ours, theirs = resident("62010219400101001"), resident("61010219400101003")
    (one, _) = import_documents(office, (ours, None, "王秀英", "east"), (theirs, None, "李四", "east"))
    secret, file = b"s" * 32, tmp_path / "theirs.csv"
    file.write_text(
        "token,scheme,region\n"
        f"{claim_token(parse_document(ours), secret)},城乡居民基本养老保险,west\n"
        f"{claim_token(parse_document(theirs), secret)},工伤保险,west\n"
        f"{claim_token(parse_document(ours), b't' * 32)},城乡居民基本养老保险,west\n"
    )
    rows = lists.read_elsewhere(file)
    done = lists.check_elsewhere(
        office.database,
        office.keys.cipher,
        rows,
        load_combinations(),
        key=secret,
        source="west city",
        by="Li",
        now=office.now,
    )
    assert (done.people, done.suspicions, done.hits) == (2, 1, 1)
    (hit,) = office.rows("SELECT * FROM duplicate_hits")
    assert (hit.first_subject, hit.kind) == (one, "elsewhere")
    assert hit.what == "west city: pension (east) + 城乡居民基本养老保险 (west): not_allowed"
    exported = lists.own_list(office.database, office.keys.cipher, key=secret, by="Li", now=office.now)
    actions = [row.action for row in office.rows("SELECT action FROM audit_log ORDER BY entry")]
    assert actions == ["duplicates.list_compared", "duplicates.list_exported"]
    lines = exported.decode().splitlines()
    assert f"{claim_token(parse_document(ours), secret)},pension,east" in lines
    assert len(lines) == 3


def test_a_bad_list_is_refused_with_every_line_and_no_token(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"token,scheme,region\nshort,pension,east\n{'A' * 43},pension\n{'B' * 43},,east\n")
    with pytest.raises(ImportRefused) as caught:
        lists.read_elsewhere(file)
    assert [problem.split(": ")[1] for problem in caught.value.problems] == ["line 2", "line 3", "line 4"]
    assert "short" not in str(caught.value)
    file.write_text("name\n")
    with pytest.raises(ImportRefused, match="no column token"):
        lists.read_elsewhere(file)
    file.write_bytes(b"token,scheme,region\n\xff\xff")
    with pytest.raises(ImportRefused, match="neither UTF-8"):
        lists.read_elsewhere(file)


def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.toml"
    head = '[schemes]\na = ["A"]\nb = ["B"]\n[same_scheme]\nallowed = false\nbecause = "x"\n'
    pair = '[[pair]]\nschemes = ["{}", "{}"]\nallowed = true\nbecause = "x"\n'
    for body, match in (
        (pair.format("a", "b") + pair.format("b", "a"), "stand twice"),
        (pair.format("a", "c"), "unknown scheme c"),
        (pair.format("a", "a"), "same_scheme"),
        ("nonsense", "not TOML"),
    ):
        file.write_text(head + body)
        with pytest.raises(SettingsInvalid, match=match):
            load_combinations(file)
    file.write_text(head + pair.format("a", "b"))
    assert load_combinations(file).says("A", "b") == "allowed"
    assert load_combinations(file).says("A", "other") == "not_listed"
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_combinations(tmp_path / "none.toml")
