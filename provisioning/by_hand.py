"""A claim that somebody typed: its code, the fleet's door, and the fingerprint of the fleet's root, as they stand on paper.

The code is a secret, and an address says nothing about who answers there. So the root is asked for first, which is nobody's secret, from
whoever answers; it is compared with what was typed; and only over TLS that trusts this root alone the code is given away.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from protocol.errors import ProtocolError
from protocol.provisioning import CLAIM_PATH, MAX_URL, ROOT_PATH, ClaimQuestion, ProvisioningClaim, shown, typed
from protocol.trust import root_fingerprint, typed_fingerprint
from provisioning.errors import FileUnusable, FleetUnreachable, StrangeFleet
from provisioning.joining import TIMEOUT_S, posted

_MOST_ROOT: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ByHand:
    """What was typed, looked through."""

    code: str = field(repr=False)
    door: str
    """The address, https://."""
    root: str
    """The fingerprint."""


def by_hand(code: str, door: str, root: str) -> ByHand:
    """Look through what was typed, without asking anybody.

    Raises:
        FileUnusable: with all that was mistyped.
    """
    wrong: list[str] = []
    found = {"code": "", "root": ""}
    for name, text, read in (("code", code, typed), ("root", root, typed_fingerprint)):
        try:
            found[name] = read(text)
        except ProtocolError as error:
            wrong.append(f"--{name}: {error}")
    address = door.strip() if "://" in door else f"https://{door.strip()}"
    if problem := _door_problem(address):
        wrong.append(f"--door: {problem}")
    if wrong:
        raise FileUnusable("\n".join(wrong))
    return ByHand(found["code"], address.rstrip("/"), found["root"])


def fetch_claim(given: ByHand, *, now: datetime) -> ProvisioningClaim:
    """Ask the fleet for the claim of a code that was typed.

    Args:
        given: what was typed.
        now: what the clock says, right or wrong.

    Raises:
        StrangeFleet: if whoever answers has another root; the code was not given away.
        JoinRefused: if the fleet knows no such claim, or it cannot be used any more.
        FleetUnreachable: if it gave no answer, or none that can be read.
    """
    root = _root(given.door)
    try:
        fingerprint = root_fingerprint(root)
    except ProtocolError as error:
        raise FleetUnreachable(f"{given.door}: no fleet's door: {error}") from error
    if fingerprint != given.root:
        raise StrangeFleet(
            f"{given.door}: whoever answers there has the root {shown(fingerprint)}, typed was {shown(given.root)}; the code was not"
            " given away. Compare both with the paper; if they were typed right, somebody is in between: tell the office"
        )
    answer = posted(given.door, root, CLAIM_PATH, ClaimQuestion(code=given.code).to_bytes(), now)
    try:
        claim = ProvisioningClaim.parse(answer)
        is_same = claim.code == given.code and root_fingerprint(claim.root) == fingerprint
    except ProtocolError as error:
        raise FleetUnreachable(f"{given.door}: an answer that cannot be read: {error}") from error
    if not is_same:
        raise FleetUnreachable(f"{given.door}: an answer to another question; try again")
    return claim


def _door_problem(address: str) -> str:
    where = urlsplit(address)
    try:
        is_address = bool(where.hostname) and (where.port is None or where.port > 0)
    except ValueError:
        is_address = False
    if where.scheme != "https":
        return "an address that begins with https:// expected"
    if (
        not is_address
        or where.path.strip("/")
        or where.query
        or where.fragment
        or where.username
        or len(address) > MAX_URL
    ):
        return "an address and nothing behind it expected, such as https://fleet.example:8444"
    return ""


def _root(door: str) -> str:
    """Return what whoever answers at the door gives as its root. Nothing is said to it, and nothing of it believed."""
    where = urlsplit(door)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        where.hostname or "", where.port or 443, timeout=TIMEOUT_S, context=context
    )
    try:
        connection.request("GET", ROOT_PATH)
        answer = connection.getresponse()
        data = answer.read(_MOST_ROOT + 1)
    except (OSError, http.client.HTTPException) as error:
        raise FleetUnreachable(
            f"{door}: no answer ({error}); is the network there, and the address right? Trying again loses nothing."
        ) from error
    finally:
        connection.close()
    if answer.status != http.client.OK or len(data) > _MOST_ROOT:
        raise FleetUnreachable(f"{door}: answers ({answer.status}), but is no fleet's door; is the address right?")
    return data.decode("ascii", "replace")
