from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.policy_file import FilePolicyStore
from device.errors import PolicyUnavailable
from protocol.envelope import sign
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy

KEY = PrivateKey.generate()
T0 = datetime(2026, 3, 1, tzinfo=UTC)


def signed(version: str, issued_at: datetime = T0, *, key: PrivateKey = KEY, typ: str = POLICY_TYP) -> bytes:
    policy = default_policy().model_copy(update={"policy_version": version, "issued_at": issued_at})
    return sign(policy.to_bytes(), key=key, typ=typ)


def store(folder: Path) -> FilePolicyStore:
    return FilePolicyStore(folder / "data" / "policy.jws", KEY.public())


def version(of: FilePolicyStore) -> str | None:
    policy = of.current()
    return None if policy is None else policy.policy_version


def test_there_is_no_policy_until_the_fleet_sends_one(tmp_path: Path) -> None:
    assert store(tmp_path).current() is None


def test_a_policy_is_kept_exactly_as_it_was_signed_and_found_again(tmp_path: Path) -> None:
    token = signed("1")
    assert store(tmp_path).apply(token).policy_version == "1"
    assert (tmp_path / "data" / "policy.jws").read_bytes() == token
    assert version(store(tmp_path)) == "1"


def test_the_newer_policy_wins_whatever_the_order(tmp_path: Path) -> None:
    policies = store(tmp_path)
    policies.apply(signed("2", T0 + timedelta(days=1)))
    assert policies.apply(signed("1", T0)).policy_version == "2"
    assert policies.apply(signed("other", T0 + timedelta(days=1))).policy_version == "2"
    assert policies.apply(signed("3", T0 + timedelta(days=2))).policy_version == "3"
    assert version(policies) == "3"


def test_the_terminal_sees_what_the_uplink_wrote(tmp_path: Path) -> None:
    terminal, uplink = store(tmp_path), store(tmp_path)
    assert terminal.current() is None
    uplink.apply(signed("1"))
    assert version(terminal) == "1"
    uplink.apply(signed("2", T0 + timedelta(days=1)))
    assert version(terminal) == "2"


@pytest.mark.parametrize(
    "token", [b"", b"x.y.z", signed("1", key=PrivateKey.generate()), signed("1", typ="lifecert-receipt")]
)
def test_what_the_fleet_did_not_sign_as_a_policy_is_refused(tmp_path: Path, token: bytes) -> None:
    policies = store(tmp_path)
    with pytest.raises(ProtocolError):
        policies.apply(token)
    assert policies.current() is None


@pytest.mark.parametrize("content", [b"", b"garbage", signed("1", key=PrivateKey.generate())])
def test_a_damaged_file_counts_as_no_policy_is_reported_once_and_can_be_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    policies = store(tmp_path)
    policies.apply(signed("1"))
    (tmp_path / "data" / "policy.jws").write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert policies.current() is None
        assert policies.current() is None
    assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == ["ERROR"]
    assert policies.apply(signed("1")).policy_version == "1"


def test_a_file_that_cannot_be_read_for_a_while_changes_nothing_and_is_read_as_soon_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal, uplink = store(tmp_path), store(tmp_path)
    uplink.apply(signed("1"))
    assert version(terminal) == "1"
    uplink.apply(signed("2", T0 + timedelta(days=1)))

    def fail(_path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        assert version(terminal) == "1"
        assert version(terminal) == "1"
        assert store(tmp_path).current() is None
    assert version(terminal) == "2"
    assert caplog.text.count("cannot be read now") == 2


def test_a_folder_that_takes_no_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(PolicyUnavailable):
        store(tmp_path).apply(signed("1"))
