from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.rule_packs_file import FileRulePackStore
from device.errors import RulePacksUnavailable
from protocol.envelope import sign
from protocol.errors import Malformed, ProtocolError
from protocol.keys import PrivateKey
from protocol.rule_packs import MAX_SET_BYTES, RULE_PACKS_TYP, RulePackSet
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import default_pack, shipped_pack, shipped_text

KEY = PrivateKey.generate()
T0 = datetime(2026, 3, 1, tzinfo=UTC)
DEFAULT = Shelf((), default_pack())


def signed(*packs: str, issued_at: datetime = T0, key: PrivateKey = KEY, typ: str = RULE_PACKS_TYP) -> bytes:
    return sign(RulePackSet(issued_at=issued_at, packs=packs).to_bytes(), key=key, typ=typ)


def store(folder: Path) -> FileRulePackStore:
    return FileRulePackStore(folder / "data" / "rule-packs.jws", KEY.public())


def ids(shelf: Shelf) -> list[str]:
    return [pack.pack_id for pack in shelf.packs]


LZ, HZ = shipped_text("LZ-2019"), shipped_text("HZ-2020")


def test_the_default_pack_holds_until_the_fleet_sends_packs(tmp_path: Path) -> None:
    assert store(tmp_path).shelf() == DEFAULT


def test_packs_are_kept_exactly_as_they_were_signed_and_seen_by_the_other_process(tmp_path: Path) -> None:
    terminal, uplink = store(tmp_path), store(tmp_path)
    token = signed(LZ, HZ)
    assert ids(uplink.apply(token)) == ["LZ-2019", "HZ-2020"]
    assert (tmp_path / "data" / "rule-packs.jws").read_bytes() == token
    assert terminal.shelf() == Shelf((shipped_pack("LZ-2019"), shipped_pack("HZ-2020")), default_pack())


def test_the_newer_set_wins_whatever_the_order(tmp_path: Path) -> None:
    packs = store(tmp_path)
    packs.apply(signed(LZ, HZ, issued_at=T0 + timedelta(days=1)))
    assert ids(packs.apply(signed(LZ))) == ["LZ-2019", "HZ-2020"]
    assert ids(packs.apply(signed(HZ, issued_at=T0 + timedelta(days=2)))) == ["HZ-2020"]
    assert ids(store(tmp_path).shelf()) == ["HZ-2020"]


@pytest.mark.parametrize(
    "token",
    [
        signed(LZ, key=PrivateKey.generate()),
        signed(LZ, typ="lifecert-policy"),
        signed("pack_id = 7"),
        signed(LZ, "not toml ["),
        signed(LZ, LZ),
        sign(b"{}", key=KEY, typ=RULE_PACKS_TYP),
        b"no token",
        b"",
    ],
    ids=["another key", "another type", "no pack", "one of two", "twice the same", "no set", "no token", "nothing"],
)
def test_unknown_or_damaged_packs_are_refused_whole_and_what_was_there_holds(tmp_path: Path, token: bytes) -> None:
    packs = store(tmp_path)
    with pytest.raises(ProtocolError):
        packs.apply(token)
    assert packs.shelf() == DEFAULT
    packs.apply(signed(HZ))
    with pytest.raises(ProtocolError):
        packs.apply(token)
    assert ids(packs.shelf()) == ["HZ-2020"]


def test_a_damaged_file_counts_as_none_is_reported_once_and_replaced_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packs = store(tmp_path)
    token = signed(LZ)
    packs.apply(token)
    (tmp_path / "data" / "rule-packs.jws").write_bytes(token[:-5] + b"AAAAA")
    with caplog.at_level(logging.ERROR):
        assert [packs.shelf(), packs.shelf()] == [DEFAULT, DEFAULT]
    assert caplog.text.count("rule packs file cannot be used") == 1
    assert ids(packs.apply(token)) == ["LZ-2019"]


def test_a_file_that_cannot_be_written_is_an_error_that_may_pass(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(RulePacksUnavailable):
        store(tmp_path).apply(signed(LZ))


def test_a_set_that_is_too_large_is_refused_before_it_is_read() -> None:
    text = LZ + "\n# " + "x" * 60_000
    data = RulePackSet(issued_at=T0, packs=(text,) * 11).to_bytes()
    assert len(data) > MAX_SET_BYTES
    with pytest.raises(Malformed, match="at most"):
        RulePackSet.parse(data)
