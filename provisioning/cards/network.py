"""The network of a terminal as netplan and cloud-init take it. Pure; passwords leave it in the file alone."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from provisioning.errors import FileUnusable

Security = Literal["wpa2", "wpa3", "open"]
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_MOST_SSID_BYTES: Final = 32
"""Source: IEEE 802.11-2020, 9.4.2.2."""
_READY_PSK: Final = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Wifi:
    """One wireless network."""

    ssid: str
    country: str
    """Two letters: which channels and powers are allowed there."""
    security: Security = "wpa2"
    is_hidden: bool = False
    """Whether it does not tell its name."""
    secret: str = field(default="", repr=False)
    """A hash of the password that is good for this network alone (`wpa2`), the password (`wpa3`), or nothing."""


@dataclass(frozen=True, slots=True)
class Wired:
    """A fixed address at the cable."""

    address: str
    """With the length of its network: 192.0.2.10/24."""
    gateway: str
    name_servers: tuple[str, ...]


def wifi(ssid: str, password: str, country: str, *, security: str = "wpa2", is_hidden: bool = False) -> Wifi:
    """Check what somebody typed and return the network.

    Raises:
        FileUnusable: if it cannot be one; the message never shows the password.
    """
    if not 1 <= len(ssid.encode()) <= _MOST_SSID_BYTES or not ssid.isprintable():
        raise FileUnusable(f"Wi-Fi name: 1 to {_MOST_SSID_BYTES} bytes that can be shown expected")
    if not _COUNTRY.fullmatch(country):
        raise FileUnusable("Wi-Fi country: two capital letters expected, such as CN; without it the radio stays off")
    if security not in get_args(Security):
        raise FileUnusable(f"Wi-Fi security: one of {', '.join(get_args(Security))} expected")
    if security == "open":
        if password:
            raise FileUnusable("Wi-Fi password: an open network has none")
        return Wifi(ssid, country, "open", is_hidden)
    if _READY_PSK.fullmatch(password):
        if security == "wpa3":
            raise FileUnusable("Wi-Fi password: WPA3 takes the password itself, no hash of it")
        return Wifi(ssid, country, "wpa2", is_hidden, password.lower())
    if not 8 <= len(password) <= 63 or not password.isascii() or not password.isprintable():
        raise FileUnusable("Wi-Fi password: 8 to 63 characters of ASCII expected")
    if security == "wpa3":
        return Wifi(ssid, country, "wpa3", is_hidden, password)
    # Source: IEEE 802.11-2020, annex J.4.1.
    psk = hashlib.pbkdf2_hmac("sha1", password.encode(), ssid.encode(), 4096, 32)
    return Wifi(ssid, country, "wpa2", is_hidden, psk.hex())


def wired(address: str, gateway: str, name_servers: tuple[str, ...]) -> Wired:
    """Check what somebody typed and return the fixed address.

    Raises:
        FileUnusable: if it cannot be one.
    """
    try:
        interface = ipaddress.ip_interface(address)
        via = ipaddress.ip_address(gateway)
        servers = tuple(str(ipaddress.ip_address(each)) for each in name_servers)
    except ValueError as error:
        raise FileUnusable(f"fixed address: {error}") from error
    if "/" not in address:
        raise FileUnusable("fixed address: the length of the network is missing, such as /24")
    if via not in interface.network or via == interface.ip:
        raise FileUnusable(f"fixed address: the gateway {via} is not another one in {interface.network}")
    return Wired(str(interface), str(via), servers)


def network_config(wifi: Wifi | None, wired: Wired | None) -> dict[str, Any]:
    """Return the network in netplan's form, version 2. No start waits for any of it."""
    cable: dict[str, Any] = {"optional": True}
    if wired is None:
        cable["dhcp4"] = True
    else:
        cable |= {
            "dhcp4": False,
            "addresses": [wired.address],
            "routes": [{"to": "default", "via": wired.gateway}],
            "nameservers": {"addresses": list(wired.name_servers)},
        }
    found: dict[str, Any] = {"version": 2, "ethernets": {"eth0": cable}}
    if wifi is not None:
        point: dict[str, Any] = {"hidden": True} if wifi.is_hidden else {}
        if wifi.security == "wpa2":
            point["password"] = wifi.secret
        elif wifi.security == "wpa3":
            point["auth"] = {"key-management": "sae", "password": wifi.secret}
        found["wifis"] = {
            "wlan0": {
                "optional": True,
                "dhcp4": True,
                "regulatory-domain": wifi.country,
                "access-points": {wifi.ssid: point},
            }
        }
    return {"network": found}
