"""Sealed pictures of cases: taken in, named, looked at, deleted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.app import picture_rules
from fleet.cases.deciding import close
from fleet.cases.machine import NotAllowed
from fleet.cases.opening import Registry
from fleet.cases.pictures import open_picture
from fleet.errors import FleetError, NotFound, Refused
from fleet.ingest.messages import Inbound
from fleet.store import cases, terminals
from fleet.store.case_lists import Wanted, rows_of
from fleet.tables.writing import write_new
from protocol.cases import Photo, PhotoRole
from protocol.envelope import seal, sha256_of
from protocol.topics import Kind

pytestmark = pytest.mark.integration

JPEG = b"\xff\xd8\xff\xe0 a picture"


def picture(office: Any, number: int = 1, plain: bytes | None = None) -> bytes:
    """A picture as a terminal seals it."""
    return seal(JPEG + bytes([number]) if plain is None else plain, reader=office.keys.sealing_key().public())


def photos(*attachments: bytes) -> tuple[Photo, ...]:
    roles = (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER, PhotoRole.FACE)
    return tuple(
        Photo(role=role, attachment=sha256_of(sealed), width_px=1280, height_px=960, image_bytes=100)
        for role, sealed in zip(roles, attachments, strict=False)
    )


def look(office: Any, record_id: str, role: PhotoRole = PhotoRole.IDENTITY_CARD) -> bytes:
    return open_picture(office.database, office.keys, record_id, role, reader="Li Na", reason="Review", now=office.now)


@pytest.fixture
def case_id() -> str:
    return "e" * 32


def test_a_picture_is_kept_sealed_as_it_came_and_receipted(office: Any, terminal: Any) -> None:
    sealed = picture(office)
    assert office.verdicts(office.send(terminal, sealed, kind=Kind.ATTACHMENT)) == [("stored", None)]
    assert office.verdicts(office.send(terminal, sealed, sealed, kind=Kind.ATTACHMENT)) == [("repeated", None)] * 2
    assert [bytes(row.sealed) for row in office.rows("SELECT sealed FROM attachments")] == [sealed]


@pytest.mark.parametrize("payload", [b"", b"\xff\xd8\xff not sealed", b"a.b.c", b"x" * 2_000_000])
def test_what_is_not_sealed_is_refused(office: Any, terminal: Any, payload: bytes) -> None:
    ((verdict, reason),) = office.verdicts(office.send(terminal, payload, kind=Kind.ATTACHMENT))
    assert (verdict, reason) == ("refused", "too_large" if len(payload) > 2**20 else "malformed")
    assert office.rows("SELECT 1 FROM attachments") == []


def test_case_and_pictures_find_one_another_in_whatever_order_they_arrive(
    office: Any, make_fleet_terminal: Any
) -> None:
    for number, order in enumerate(itertools.permutations(range(3))):
        terminal = make_fleet_terminal(terminal_id=f"t-{number}")
        office.register(terminal)
        sealed = [picture(office, 1), picture(office, 2)]
        record_id = f"{number:032x}"
        messages = [
            Inbound(str(terminal.topic(Kind.ATTACHMENT)), sealed[0], office.now),
            Inbound(str(terminal.topic(Kind.ATTACHMENT)), sealed[1], office.now),
            Inbound(
                str(terminal.topic(Kind.RECORD)),
                terminal.next_case(record_id=record_id, photos=photos(*sealed)),
                office.now,
            ),
        ]
        for index in order:
            office.handler.handle([messages[index]])
        with office.database.begin() as connection:
            found = cases.find_case(connection, record_id)
            assert found is not None
            assert found.here == {sha256_of(one) for one in sealed}
            assert cases.unclaimed_bytes(connection, terminal.terminal_id) == 0
    with office.database.begin() as connection:
        rows = rows_of(connection, Wanted(), limit=10)
    assert [(row.pictures_here, row.pictures) for row in rows] == [(2, 2)] * 6


def test_a_picture_of_another_terminal_is_not_the_cases(
    office: Any, terminal: Any, make_fleet_terminal: Any, case_id: str
) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    sealed = picture(office)
    office.send(other, sealed, kind=Kind.ATTACHMENT)
    office.send(terminal, terminal.next_case(record_id=case_id, photos=photos(sealed, sealed)))
    with pytest.raises(NotFound, match="has not arrived"):
        look(office, case_id)


def test_who_looks_and_why_is_written_down_first(office: Any, terminal: Any, case_id: str) -> None:
    good, bad = picture(office), picture(office, plain=b"no picture")
    office.send(terminal, terminal.next_case(record_id=case_id, photos=photos(good, bad)))
    office.send(terminal, good, bad, kind=Kind.ATTACHMENT)
    assert look(office, case_id) == JPEG + b"\x01"
    with pytest.raises(FleetError, match="no JPEG"):
        look(office, case_id, PhotoRole.WITH_NEWSPAPER)
    rows = office.rows("SELECT role, reader_sealed, reason_sealed FROM picture_views ORDER BY view_id")
    assert [row.role for row in rows] == ["identity_card", "with_newspaper"]
    assert b"Li Na" not in bytes(rows[0].reader_sealed)
    cipher = office.keys.cipher
    assert cipher.decrypt(bytes(rows[0].reason_sealed), subject_id=case_id, field_name="view_reason") == "Review"


def test_nobody_looks_without_a_name_and_a_reason(office: Any, terminal: Any, case_id: str) -> None:
    sealed = picture(office)
    office.send(terminal, terminal.next_case(record_id=case_id, photos=photos(sealed, sealed)))
    office.send(terminal, sealed, kind=Kind.ATTACHMENT)
    for reader, reason in ((" ", "Review"), ("Li Na", "")):
        with pytest.raises(Refused):
            open_picture(
                office.database,
                office.keys,
                case_id,
                PhotoRole.IDENTITY_CARD,
                reader=reader,
                reason=reason,
                now=office.now,
            )
    with pytest.raises(NotFound, match="has no picture face"):
        look(office, case_id, PhotoRole.FACE)
    with pytest.raises(NotFound, match="none of this id"):
        look(office, "0" * 32)
    assert office.rows("SELECT 1 FROM picture_views") == []


def test_a_picture_is_never_written_over_another_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    write_new(path, JPEG)
    assert (path.read_bytes(), path.stat().st_mode & 0o077) == (JPEG, 0)
    with pytest.raises(Refused):
        write_new(path, JPEG)


def test_pictures_that_no_case_names_are_bounded_and_the_terminal_keeps_the_rest(
    office: Any, terminal: Any, case_id: str
) -> None:
    first, second, named = (picture(office, number) for number in range(3))
    office.pictures = replace(picture_rules(office.settings), unclaimed_bytes=len(first) + 1)
    answers = office.send(terminal, first, second, kind=Kind.ATTACHMENT)
    assert office.verdicts(answers) == [("stored", None)]
    # What a case names is taken whatever waits, and makes room.
    office.send(terminal, terminal.next_case(record_id=case_id, photos=photos(first, named)))
    assert office.verdicts(office.send(terminal, named, second, kind=Kind.ATTACHMENT)) == [("stored", None)] * 2
    assert office.quarantine() == []


def test_a_retired_terminals_pictures_are_taken_only_for_its_cases(office: Any, terminal: Any, case_id: str) -> None:
    named, other = picture(office, 1), picture(office, 2)
    office.send(terminal, terminal.next_case(record_id=case_id, photos=photos(named, named)))
    with office.database.begin() as connection:
        assert terminals.retire(connection, "t-1", now=office.now)
    answers = office.send(terminal, named, other, kind=Kind.ATTACHMENT)
    assert sorted(office.verdicts(answers)) == [("refused", "retired_terminal"), ("stored", None)]


def test_pictures_are_deleted_some_time_after_the_case_is_closed(office: Any, terminal: Any, case_id: str) -> None:
    sealed, alone = picture(office, 1), picture(office, 2)
    office.send(terminal, terminal.next_case(record_id=case_id, photos=photos(sealed, sealed)))
    office.send(terminal, sealed, alone, kind=Kind.ATTACHMENT)
    start = office.now

    def left_after(days: int) -> int:
        office.now = start + timedelta(days=days, seconds=1)
        office.handler.clean()
        return len(office.rows("SELECT 1 FROM attachments"))

    assert left_after(13) == 2
    assert left_after(14) == 1
    assert left_after(400) == 1
    desk = Registry(office.keys.cipher, office.settings.zone())
    for name in ("Li Na", "Wang Wei"):
        close(office.database, desk, case_id, by=name, reason="withdrawn", now=office.now)
    with pytest.raises(NotAllowed, match="closed already"):
        close(office.database, desk, case_id, by="Li Na", reason="withdrawn", now=office.now)
    assert left_after(489) == 1
    assert left_after(490) == 0
