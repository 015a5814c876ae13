"""What a new terminal finds on its boot partition. Pure: from what somebody wants to the bytes of each file.

`user-data`, `network-config` and `meta-data` are read by cloud-init at every start, from the place where Raspberry Pi OS (from the
images of Debian trixie on) has it look (`seedfrom: file:///boot/firmware`). They are YAML, of which JSON is a part. All that the first
start needs besides lies in `lifecert/`. Source: cloud-init documentation, "NoCloud" and "Boot stages": what `bootcmd` names runs at each
start, everything else once for each `instance-id`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

from protocol.errors import ProtocolError
from protocol.provisioning import ProvisioningClaim
from protocol.trust import root_in
from provisioning.cards.network import Wifi, Wired, network_config
from provisioning.errors import FileUnusable
from provisioning.settings_file import to_toml

FOLDER: Final = "lifecert"
USER_DATA: Final = "user-data"
NETWORK: Final = "network-config"
META_DATA: Final = "meta-data"
CARD: Final = f"{FOLDER}/card.json"
MARK: Final = b"# Lifecert: written by `lifecert-provision card`."
"""In our own `user-data`: one without is the image's."""
TECHNICIAN: Final = "technician"
"""The user of whoever looks after the terminal, where a key was given; there is no password to it."""
_AT_EACH_START: Final = f"/boot/firmware/{FOLDER}/first-boot"
_HOST_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Source: RFC 1123, 2.1."""
_SSH_KEY: Final = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( [^\n]*)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one card is to hold."""

    claim: ProvisioningClaim = field(repr=False)
    terminal_id: str
    host_name: str
    timezone: str = "Asia/Shanghai"
    wifi: Wifi | None = None
    wired: Wired | None = None
    ssh_keys: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What `settings.tried_part` read."""
    place: str = ""


def wanted_problems(wanted: Wanted) -> list[str]:
    """Return what is wrong with it, in words."""
    named = (("host name", host_name_problem(wanted.host_name)), ("time zone", timezone_problem(wanted.timezone)))
    wrong = [f"{what}: {problem}" for what, problem in named if problem]
    wrong += [
        f"SSH key {at}: not a public key as in a file of .ssh/*.pub"
        for at, key in enumerate(wanted.ssh_keys, 1)
        if not _SSH_KEY.fullmatch(key)
    ]
    try:
        root_in(wanted.claim.root)
    except ProtocolError:
        wrong.append("claim: its root certificate cannot be read; get another claim")
    return wrong


def host_name_problem(name: str) -> str:
    """Return what is wrong with a terminal's name in the network; empty where nothing is."""
    return "" if _HOST_NAME.fullmatch(name) else "small letters, digits and dashes expected, 63 at most"


def timezone_problem(name: str) -> str:
    """Return what is wrong with a time zone; empty where nothing is."""
    return "" if name in available_timezones() else f"{name!r} is not known; Asia/Shanghai, for example"


def own_files(wanted: Wanted) -> dict[str, bytes]:
    """Return the files that are this terminal's alone, by their names from the root of the boot partition."""
    folder = {
        "claim.json": wanted.claim.to_bytes() + b"\n",
        "root.pem": wanted.claim.root.encode(),
        "settings.toml": to_toml(wanted.settings).encode(),
        "terminal-id": f"{wanted.terminal_id}\n".encode(),
    }
    files = {f"{FOLDER}/{name}": data for name, data in folder.items()}
    files[NETWORK] = _yaml(network_config(wanted.wifi, wanted.wired))
    files[USER_DATA] = b"#cloud-config\n" + MARK + b"\n" + _yaml(_user_data(wanted))
    files[META_DATA] = _yaml({"instance-id": f"lifecert-{_digest(files)[:16]}", "dsmode": "local"})
    return files


def _user_data(wanted: Wanted) -> dict[str, Any]:
    # Always there, so that the system makes no user of its own and asks nobody for one; without a key nobody can be it.
    technician: dict[str, Any] = {"name": TECHNICIAN, "shell": "/bin/bash", "lock_passwd": True}
    if wanted.ssh_keys:
        technician |= {
            "groups": ["adm", "sudo", "video"],
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": list(wanted.ssh_keys),
        }
    return {
        "hostname": wanted.host_name,
        "manage_etc_hosts": True,
        "timezone": wanted.timezone,
        "ssh_pwauth": False,
        "users": [technician],
        # At each start until the terminal has joined: what a power cut left half done is taken up again.
        "bootcmd": [["sh", _AT_EACH_START, "arrange"]],
    }


def card_sheet(wanted: Wanted, digests: Mapping[str, str], *, software: str) -> bytes:
    """Return `card.json`: what is on the card, so that a card can be known again and looked over. No secret is in it."""
    return (
        json.dumps(
            {
                "software": software,
                "fleet_id": wanted.claim.fleet_id,
                "terminal_id": wanted.terminal_id,
                "place": wanted.place,
                "claim_expires_at": wanted.claim.expires_at.isoformat(),
                "files": dict(sorted(digests.items())),
            },
            ensure_ascii=False,
            indent=1,
        ).encode()
        + b"\n"
    )


def sha256(source: Path | bytes) -> str:
    """Return the digest of a file.

    Raises:
        FileUnusable: if it cannot be read.
    """
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    try:
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileUnusable(f"{source}: {error.strerror}") from error


def _digest(files: Mapping[str, bytes]) -> str:
    return sha256(b"".join(sha256(data).encode() for _, data in sorted(files.items())))


def _yaml(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
