"""`lifecert-fleet cases` and `events` as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fleet.app import make_handler, open_fleet
from fleet.ingest.messages import Inbound
from fleet.settings import load_settings
from fleet.store import terminals
from protocol.cases import Photo, PhotoCheck, PhotoRole
from protocol.envelope import seal, sha256_of
from protocol.topics import Kind
from protocol.visits import Place

pytestmark = pytest.mark.integration

JPEG = b"\xff\xd8\xff\xe0 a picture"
CASE_ID = "e" * 32


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]],
    make_data_dir: Callable[[], Path],
    make_fleet_terminal: Callable[..., Any],
    database_url: str,
) -> Callable[..., Result]:
    """A fleet with one case and one event."""
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')

    invoke = program_in(folder)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    terminal = make_fleet_terminal()
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        with fleet.database.begin() as connection:
            terminals.add_terminal(
                connection,
                "t-1",
                area="east",
                signing_key=terminal.signing.public(),
                sealing_key=terminal.sealing.public(),
                now=fleet.clock(),
            )
        sealed = seal(JPEG, reader=fleet.keys.sealing_key().public())
        check = PhotoCheck(name="one_face", passed=False, found=2, asked=1)
        photos = tuple(
            Photo(role=role, attachment=sha256_of(sealed), width_px=8, height_px=6, image_bytes=9, checks=(check,))
            for role in (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER)
        )
        messages = [
            (
                Kind.RECORD,
                terminal.next_case(
                    record_id=CASE_ID, photos=photos, witness="w-9", place=Place(code="620102001", source="chosen")
                ),
            ),
            (Kind.RECORD, terminal.next_event()),
            (Kind.ATTACHMENT, sealed),
        ]
        make_handler(fleet).handle(
            [Inbound(str(terminal.topic(kind)), payload, fleet.clock()) for kind, payload in messages]
        )
    return invoke


def test_cases_are_listed_shown_looked_at_and_closed(run: Callable[..., Result], tmp_path: Path) -> None:
    listed = json.loads(run("cases", "list", "--open", "--json").stdout)["cases"]
    assert [(c["case_id"], c["kind"], c["pictures"], c["flags"]) for c in listed] == [
        (CASE_ID, "special", "2 of 2", ["operator_unfit"])
    ]
    out = tmp_path / "card.jpg"
    asked = ("cases", "photo", CASE_ID, "identity_card", "--out", str(out), "--reader", "Li Na")
    assert run(*asked).exit_code == 2, "a reason is asked for"
    done = run(*asked, "--reason", "Review")
    assert done.exit_code == 0, done.stderr
    assert out.read_bytes() == JPEG
    assert run(*asked, "--reason", "Review").exit_code == 2, "never over another file"

    shown = json.loads(run("cases", "show", CASE_ID, "--json").stdout)
    assert shown["newspaper_date"] == "2026-11-01"
    assert (shown["operator"], shown["witness"], shown["place"]["code"]) == ("w-204", "w-9", "620102001")
    assert [(view["role"], view["reader"], view["reason"]) for view in shown["views"]] == [
        ("identity_card", "Li Na", "Review")
    ]
    assert [picture["checks"][0]["passed"] for picture in shown["pictures"]] == [False, False]
    page = run("cases", "show", CASE_ID).stdout
    assert "w-9" in page
    assert "620102001" in page
    assert "one_face" in page
    assert "Li Na" in page

    assert run("cases", "close", CASE_ID).exit_code == 2, "a name is asked for"
    assert run("cases", "close", CASE_ID, "--by", "Li Na", "--reason", "no reason").exit_code == 1
    first = run("cases", "close", CASE_ID, "--by", "Li Na", "--reason", "withdrawn")
    assert (first.exit_code, "once a second person says the same" in first.stderr) == (0, True)
    assert run("cases", "close", CASE_ID, "--by", "Li Na", "--reason", "withdrawn").exit_code == 1
    assert run("cases", "close", CASE_ID, "--by", "Wang Wei", "--reason", "withdrawn").exit_code == 0
    assert run("cases", "close", CASE_ID, "--by", "Li Na").exit_code == 1
    assert json.loads(run("cases", "list", "--open", "--json").stdout) == {
        "cases": [],
        "elsewhere": {"i_am_here": 0, "duplicates": 0},
    }
    assert "closed" in run("cases", "list").stdout
    missing = run("cases", "show", "0" * 32)
    assert (missing.exit_code, missing.stderr) == (1, f"case {'0' * 32}: there is none of this id\n")


def test_events_are_listed_by_terminal_and_from_a_moment_on(run: Callable[..., Result]) -> None:
    (event,) = json.loads(run("events", "--terminal", "t-1", "--since", "2026-01-01", "--json").stdout)["events"]
    assert (event["kind"], event["detail"], event["counter"]) == ("sign_in_locked", "attempts=5 seconds=300", 2)
    assert json.loads(run("events", "--terminal", "t-2", "--json").stdout) == {"events": []}
    assert json.loads(run("events", "--since", "2999-01-01", "--json").stdout) == {"events": []}
    assert "sign_in_locked" in run("events").stdout
