from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from provisioning.cards.network import network_config, wifi, wired
from provisioning.errors import FileUnusable
from tests.unit.provisioning.cards.conftest import program

pytestmark = pytest.mark.provisioning


@pytest.mark.parametrize(
    ("ssid", "password", "psk"),
    [
        # Source: IEEE 802.11-2020, annex J.4.2, test vectors 1 and 2.
        ("IEEE", "password", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        ("ThisIsASSID", "ThisIsAPassword", "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"),
    ],
)
def test_a_password_is_kept_as_the_standard_hashes_it(ssid: str, password: str, psk: str) -> None:
    found = wifi(ssid, password, "CN")
    assert found.secret == psk
    assert psk not in repr(found)
    assert wifi(ssid, psk.upper(), "CN").secret == psk


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("", "password", "CN"), "Wi-Fi name"),
        (("村" * 11, "password", "CN"), "Wi-Fi name"),
        (("a\nb", "password", "CN"), "Wi-Fi name"),
        (("Hall", "password", "cn"), "two capital letters"),
        (("Hall", "password", ""), "two capital letters"),
        (("Hall", "1234567", "CN"), "8 to 63 characters"),
        (("Hall", "x" * 64, "CN"), "8 to 63 characters"),
        (("Hall", "密码密码密码密码", "CN"), "8 to 63 characters"),
    ],
)
def test_what_can_be_no_network_is_told_without_the_password(arguments: tuple[str, str, str], told: str) -> None:
    with pytest.raises(FileUnusable, match=told) as error:
        wifi(*arguments)
    assert len(arguments[1]) == 0 or arguments[1] not in str(error.value)


def test_kinds_of_network_take_their_own_password() -> None:
    assert wifi("Hall", "", "CN", security="open").secret == ""
    assert wifi("Hall", "password", "CN", security="wpa3").secret == "password"
    for security, password, told in (
        ("open", "password", "has none"),
        ("wpa3", "a" * 64, "password itself"),
        ("wep", "password", "one of wpa2, wpa3, open"),
    ):
        with pytest.raises(FileUnusable, match=told):
            wifi("Hall", password, "CN", security=security)


@pytest.mark.parametrize(
    ("address", "gateway", "dns", "told"),
    [
        ("192.0.2.10", "192.0.2.1", (), "length of the network"),
        ("192.0.2.300/24", "192.0.2.1", (), "fixed address"),
        ("192.0.2.10/24", "192.0.3.1", (), "gateway"),
        ("192.0.2.10/24", "192.0.2.10", (), "gateway"),
        ("192.0.2.10/24", "", (), "fixed address"),
        ("192.0.2.10/24", "192.0.2.1", ("dns.example",), "fixed address"),
    ],
)
def test_what_can_be_no_address_is_told(address: str, gateway: str, dns: tuple[str, ...], told: str) -> None:
    with pytest.raises(FileUnusable, match=told):
        wired(address, gateway, dns)


def test_netplan_takes_every_kind_of_network(tmp_path: Path) -> None:
    fixed = wired("192.0.2.10/24", "192.0.2.1", ("192.0.2.1", "2001:db8::1"))
    for number, (point, cable) in enumerate(
        [
            (None, None),
            (wifi('Hall "一" \\', "password", "CN"), fixed),
            # Not wpa3: Debian 12's netplan (0.106) does not know it, and a later one was not at hand.
            (wifi("Hall", "password", "CN", is_hidden=True), None),
            (wifi("123", "", "CN", security="open"), None),
        ]
    ):
        folder = tmp_path / str(number) / "etc/netplan"
        folder.mkdir(parents=True)
        (folder / "card.yaml").write_text(json.dumps(network_config(point, cable), ensure_ascii=False))
        (folder / "card.yaml").chmod(0o600)
        done = subprocess.run(
            [program("netplan"), "generate", "--root-dir", tmp_path / str(number)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        for each in (point,) if point else ():
            made = (tmp_path / str(number) / "run/netplan/wpa-wlan0.conf").read_text()
            assert each.ssid.replace("\\", "").replace('"', "")[:4] in made
            assert each.secret in made
