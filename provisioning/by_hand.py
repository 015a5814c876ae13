"""A claim that somebody typed: its code, the fleet's door, and the fingerprint of the fleet's root, as they stand on paper.

The code is a secret, and an address says nothing about who answers there. So the root is asked for first, which is nobody's secret, from
whoever answers; it is compared with what was typed; and only over TLS that trusts this root alone the code is given away.
"""

from __future__ import annotations

import http.client
import ssl
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from protocol.errors import ProtocolError
from protocol.provisioning import CLAIM_PATH, MAX_URL, ROOT_PATH, ClaimQuestion, ProvisioningClaim, shown, typed
from protocol.trust import pem_of, root_fingerprint, root_in, typed_fingerprint
from provisioning.errors import FileUnusable, FleetUnreachable, StrangeFleet
from provisioning.joining import answered, posted, with_root

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
    # Whoever types Chinese types full-width signs as well.
    plain = unicodedata.normalize("NFKC", door).replace("。", ".").strip()
    address = plain if "://" in plain else f"https://{plain}"
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
    try:
        root = root_in(_root(given.door))
    except ProtocolError as error:
        raise FleetUnreachable(f"{given.door}: no fleet's door: {error}") from error
    fingerprint = root_fingerprint(root)
    if fingerprint != given.root:
        raise StrangeFleet(
            f"{given.door}: whoever answers there has the root {shown(fingerprint)}, typed was {shown(given.root)}; the code was not"
            " given away. Compare both with the paper; if they were typed right, somebody is in between: tell the office"
        )
    answer = posted(given.door, pem_of(root), CLAIM_PATH, ClaimQuestion(code=given.code).to_bytes(), now)
    try:
        claim = ProvisioningClaim.parse(answer)
        is_same = claim.code == given.code and root_in(claim.root) == root
    except ProtocolError as error:
        raise FleetUnreachable(f"{given.door}: an answer that cannot be read: {error}") from error
    if not is_same:
        raise FleetUnreachable(f"{given.door}: an answer to another question; try again")
    return with_root(claim, root)


def _door_problem(address: str) -> str:
    if not address.lower().startswith("https://"):
        return "an address that begins with https:// expected"
    try:
        where = urlsplit(address)
        # As it is made when it is looked up: names with an empty or too long part are found out here.
        is_address = bool((where.hostname or "").encode("idna")) and (where.port is None or where.port > 0)
    except ValueError:
        is_address = False
    if not is_address or where.path.strip("/") or where.query or where.fragment or where.username:
        return "an address and nothing behind it expected, such as https://fleet.example:8444"
    return "" if len(address) <= MAX_URL else f"longer than {MAX_URL} characters"


def _root(door: str) -> str:
    """Return what whoever answers at the door gives as its root. Nothing is said to it, and nothing of it believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    status, data = answered(door, context, "GET", ROOT_PATH, most=_MOST_ROOT + 1)
    if status != http.client.OK or len(data) > _MOST_ROOT:
        raise FleetUnreachable(f"{door}: answers ({status}), but is no fleet's door; is the address right?")
    return data.decode("ascii", "replace")
