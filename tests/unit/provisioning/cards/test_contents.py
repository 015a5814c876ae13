from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.provisioning import ProvisioningClaim
from provisioning.cards.contents import META_DATA, NETWORK, USER_DATA, Wanted, own_files, wanted_problems
from provisioning.cards.network import wifi
from provisioning.cards.planning import plan
from provisioning.errors import FileUnusable
from tests.unit.provisioning.cards.conftest import program

pytestmark = pytest.mark.provisioning
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJj3v2bX li@office"
ClaimFor = Callable[..., ProvisioningClaim]


def test_cloud_init_takes_what_is_written(claim_for: ClaimFor, tmp_path: Path) -> None:
    for number, keys in enumerate([(), (KEY,)]):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(own_files(Wanted(claim_for(), "t-1", "t-1", ssh_keys=keys))[USER_DATA])
        done = subprocess.run(
            [program("cloud-init"), "schema", "-c", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Valid")
        assert "deprecat" not in done.stdout + done.stderr


def test_the_same_wish_is_the_same_instance_and_another_one_another(claim_for: ClaimFor) -> None:
    claim = claim_for()
    first, same, other = (
        own_files(Wanted(claim, "t-1", "t-1", timezone=zone))[META_DATA]
        for zone in ("Asia/Shanghai", "Asia/Shanghai", "Asia/Urumqi")
    )
    assert first == same != other


def test_passwords_and_the_code_are_in_no_file_but_their_own(claim_for: ClaimFor) -> None:
    wanted = Wanted(claim_for(), "t-1", "t-1", wifi=wifi("Hall", "hunter22secret", "CN"))
    files = plan(wanted, {})
    assert wanted.wifi is not None
    assert wanted.claim.code not in repr(wanted)
    for name, data in files.items():
        assert isinstance(data, bytes)
        assert b"hunter22secret" not in data
        assert (wanted.wifi.secret.encode() in data) == (name == NETWORK)
        assert (wanted.claim.code.encode() in data) == (name == "lifecert/claim.json")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"host_name": "Halle 1"}, "host name"),
        ({"host_name": "t-"}, "host name"),
        ({"timezone": "Asia/Nowhere"}, "time zone"),
        ({"ssh_keys": ("-----BEGIN",)}, "SSH key 1"),
    ],
)
def test_what_cannot_be_is_told(claim_for: ClaimFor, changes: dict[str, object], told: str) -> None:
    values: dict[str, object] = {"claim": claim_for(), "terminal_id": "t-1", "host_name": "t-1"}
    wanted = Wanted(**(values | changes))  # type: ignore[arg-type]
    assert [told in problem for problem in wanted_problems(wanted)] == [True]
    with pytest.raises(FileUnusable, match=told):
        plan(wanted, {})


def test_a_claim_whose_root_is_none_is_told(claim_for: ClaimFor) -> None:
    wanted = Wanted(claim_for(root="-----BEGIN CERTIFICATE-----"), "t-1", "t-1")
    assert "root certificate" in wanted_problems(wanted)[0]


def test_the_sheet_of_a_card_counts_every_file(claim_for: ClaimFor) -> None:
    files = plan(Wanted(claim_for(), "t-1", "t-1", place="东村"), {"lifecert/first-boot": b"x"})
    sheet = json.loads(bytes(files["lifecert/card.json"]))  # type: ignore[arg-type]
    assert set(sheet["files"]) == set(files) - {"lifecert/card.json"}
    assert (sheet["terminal_id"], sheet["place"]) == ("t-1", "东村")
