from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet.errors import FleetError, KeysMissing
from fleet.keys import FieldCipher, load_keys, make_keys


def test_keys_are_made_once_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", key_domain="d1")
    first = load_keys(tmp_path / "keys")
    make_keys(tmp_path / "keys", key_domain="d1")
    again = load_keys(tmp_path / "keys")
    assert first.signing.key_id == again.signing.key_id
    assert first.claim_key == again.claim_key
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "keys").iterdir()} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_key_folder_of_before_there_was_a_sealing_key_says_what_to_do_and_gets_one(tmp_path: Path) -> None:
    make_keys(tmp_path, key_domain="d1")
    (tmp_path / "sealing.pem").unlink()
    with pytest.raises(KeysMissing, match=r"lifecert-fleet init --identity FILE.*accept-fleet"):
        load_keys(tmp_path).sealing_key()
    make_keys(tmp_path, key_domain="d1")
    key_id = load_keys(tmp_path).sealing_key().key_id
    make_keys(tmp_path, key_domain="d1")
    assert load_keys(tmp_path).sealing_key().key_id == key_id


def test_a_second_key_domain_is_added_beside_the_first(tmp_path: Path) -> None:
    make_keys(tmp_path, key_domain="d1")
    make_keys(tmp_path, key_domain="d2")
    assert set(load_keys(tmp_path).feature_keys) == {"d1", "d2"}


def test_no_secret_stands_in_a_repr(tmp_path: Path) -> None:
    make_keys(tmp_path, key_domain="d1")
    keys = load_keys(tmp_path)
    assert str(keys.claim_key) not in repr(keys)
    assert "feature_keys" not in repr(keys)


def test_absent_or_cut_keys_are_reported_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match="lifecert-fleet init"):
        load_keys(tmp_path)
    make_keys(tmp_path, key_domain="d1")
    (tmp_path / "claim.key").write_bytes(b"short")
    with pytest.raises(KeysMissing, match="5 bytes, 32 expected"):
        load_keys(tmp_path)


def test_a_stored_field_opens_only_in_its_own_place() -> None:
    cipher = FieldCipher(os.urandom(32))
    stored = cipher.encrypt("甲", subject_id="a", field_name="name")
    assert cipher.decrypt(stored, subject_id="a", field_name="name") == "甲"
    for subject, name in (("b", "name"), ("a", "document")):
        with pytest.raises(FleetError, match="does not open"):
            cipher.decrypt(stored, subject_id=subject, field_name=name)


@pytest.mark.parametrize("lost", ["signing.pem", "claim.key", "encryption.key"])
def test_half_a_key_folder_is_neither_used_nor_filled_up(tmp_path: Path, lost: str) -> None:
    make_keys(tmp_path, key_domain="d1")
    (tmp_path / lost).unlink()
    with pytest.raises(KeysMissing, match="backup"):
        load_keys(tmp_path)
    with pytest.raises(KeysMissing, match="backup"):
        make_keys(tmp_path, key_domain="d1")
    assert not (tmp_path / lost).exists()


def test_a_digest_is_of_one_text_one_subject_one_field_and_one_key() -> None:
    cipher = FieldCipher(bytes(32))
    first = cipher.digest("a", subject_id="1", field_name="approver")
    assert len(first) == 32
    assert cipher.digest("a", subject_id="1", field_name="approver") == first
    others = {
        cipher.digest("b", subject_id="1", field_name="approver"),
        cipher.digest("a", subject_id="2", field_name="approver"),
        cipher.digest("a", subject_id="1", field_name="proposer"),
        FieldCipher(bytes(31) + b"1").digest("a", subject_id="1", field_name="approver"),
    }
    assert len(others | {first}) == 5
