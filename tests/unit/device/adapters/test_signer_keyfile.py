from __future__ import annotations

from pathlib import Path

import pytest

from device.adapters.entropy_system import SystemEntropy
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity
from device.errors import KeyUnusable
from protocol.envelope import verify
from protocol.keys import PrivateKey
from protocol.registration import FleetIdentity


def test_what_is_signed_verifies_with_the_public_key(tmp_path: Path) -> None:
    key = PrivateKey.generate()
    key.save(tmp_path / "k.pem")
    signer = KeyfileSigner(tmp_path / "k.pem")
    found = verify(
        signer.sign(b"data", "t"), key_of=lambda kid: key.public() if kid == signer.key_id else None, typ="t"
    )
    assert found.payload == b"data"


def test_a_key_everybody_can_read_is_refused(tmp_path: Path) -> None:
    PrivateKey.generate().save(tmp_path / "k.pem")
    (tmp_path / "k.pem").chmod(0o644)
    with pytest.raises(KeyUnusable, match="everybody can read"):
        KeyfileSigner(tmp_path / "k.pem")


def test_a_key_that_systemd_granted_through_an_access_list_is_taken(tmp_path: Path) -> None:
    PrivateKey.generate().save(tmp_path / "k.pem")
    (tmp_path / "k.pem").chmod(0o440)
    assert KeyfileSigner(tmp_path / "k.pem").key_id


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_refused_without_a_word_of_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match=r"k\.pem: cannot be read as a private key"):
        KeyfileSigner(path)


def test_a_missing_key_names_the_tool_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="lifecert-provision identity"):
        KeyfileSigner(tmp_path / "none.pem")


def test_the_fleets_identity_must_be_there_and_of_the_right_fleet(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    with pytest.raises(KeyUnusable, match="accept-fleet"):
        load_fleet_identity(path, fleet_id="north")
    identity = FleetIdentity(fleet_id="north", signing_key=PrivateKey.generate().public())
    path.write_bytes(identity.to_bytes())
    assert load_fleet_identity(path, fleet_id="north") == identity
    with pytest.raises(KeyUnusable, match="'north', this terminal belongs to 'south'"):
        load_fleet_identity(path, fleet_id="south")
    path.write_bytes(b"{}")
    with pytest.raises(KeyUnusable):
        load_fleet_identity(path, fleet_id="north")


def test_entropy_gives_as_many_bytes_as_asked_and_never_the_same() -> None:
    entropy = SystemEntropy()
    assert len(entropy.token(17)) == 17
    assert entropy.token(16) != entropy.token(16)
