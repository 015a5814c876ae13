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
        FileUnusable: with all that is wrong; the message never shows the password.
    """
    if wrong := wifi_problems(ssid, password, country, security):
        raise FileUnusable("; ".join(f"Wi-Fi {what}: {problem}" for what, problem in wrong.items()))
    if security == "open":
        return Wifi(ssid, country, "open", is_hidden)
    if _READY_PSK.fullmatch(password):
        return Wifi(ssid, country, "wpa2", is_hidden, password.lower())
    if security == "wpa3":
        return Wifi(ssid, country, "wpa3", is_hidden, password)
    # Source: IEEE 802.11-2020, annex J.4.1.
    psk = hashlib.pbkdf2_hmac("sha1", password.encode(), ssid.encode(), 4096, 32)
    return Wifi(ssid, country, "wpa2", is_hidden, psk.hex())


def wifi_problems(ssid: str, password: str, country: str, security: str) -> dict[str, str]:
    """Return what is wrong with a network that somebody typed: of `name`, `password`, `country` and `security`. No password is in it."""
    wrong: dict[str, str] = {}
    if not 1 <= len(ssid.encode()) <= _MOST_SSID_BYTES or not ssid.isprintable():
        wrong["name"] = f"1 to {_MOST_SSID_BYTES} bytes that can be shown expected"
    if not _COUNTRY.fullmatch(country):
        wrong["country"] = "two capital letters expected, such as CN; without it the radio stays off"
    if security not in get_args(Security):
        wrong["security"] = f"one of {', '.join(get_args(Security))} expected"
    elif problem := _password_problem(password, security):
        wrong["password"] = problem
    return wrong


def _password_problem(password: str, security: str) -> str:
    if security == "open":
        return "an open network has none" if password else ""
    if _READY_PSK.fullmatch(password):
        return "WPA3 takes the password itself, no hash of it" if security == "wpa3" else ""
    if not 8 <= len(password) <= 63 or not password.isascii() or not password.isprintable():
        return "8 to 63 characters of ASCII expected"
    return ""


def wired(address: str, gateway: str, name_servers: tuple[str, ...]) -> Wired:
    """Check what somebody typed and return the fixed address.

    Raises:
        FileUnusable: with all that is wrong.
    """
    if wrong := wired_problems(address, gateway, name_servers):
        raise FileUnusable("; ".join(f"fixed address: {what}: {problem}" for what, problem in wrong.items()))
    servers = tuple(str(ipaddress.ip_address(each)) for each in name_servers)
    return Wired(str(ipaddress.ip_interface(address)), str(ipaddress.ip_address(gateway)), servers)


def wired_problems(address: str, gateway: str, name_servers: tuple[str, ...]) -> dict[str, str]:
    """Return what is wrong with a fixed address that somebody typed: of `address`, `gateway` and `dns`."""
    wrong: dict[str, str] = {}
    interface = None
    try:
        interface = ipaddress.ip_interface(address)
        if "/" not in address:
            wrong["address"] = "the length of the network is missing, such as /24"
    except ValueError as error:
        wrong["address"] = str(error)
    try:
        via = ipaddress.ip_address(gateway)
        if interface is not None and not wrong and (via not in interface.network or via == interface.ip):
            wrong["gateway"] = f"{via} is not another one in {interface.network}"
    except ValueError as error:
        wrong["gateway"] = str(error) if gateway else "the router's address is missing"
    try:
        for each in name_servers:
            ipaddress.ip_address(each)
    except ValueError as error:
        wrong["dns"] = str(error)
    return wrong


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
