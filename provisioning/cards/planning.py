"""From a claim and what somebody wants to the files of one card, with every check that can be made before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from protocol.provisioning import ProvisioningClaim
from provisioning.cards.contents import CARD, Wanted, card_sheet, own_files, sha256, wanted_problems
from provisioning.cards.writing import Files
from provisioning.errors import FileUnusable
from provisioning.joining import name_of_terminal


def name_on_card(claim: ProvisioningClaim, *, source: str, terminal_id: str | None, now: datetime) -> str:
    """Return the name of the terminal that a claim is good for, today.

    Args:
        claim: it.
        source: where it comes from, for messages.
        terminal_id: who the card is for, where somebody says so.
        now: what this computer's clock says.

    Raises:
        FileUnusable: if it is over, is another terminal's, or nobody says whose it is.
    """
    if claim.expires_at <= now:
        raise FileUnusable(
            f"{source}: was good until {claim.expires_at:%Y-%m-%d %H:%M} UTC; get another claim (or is this computer's clock wrong?)"
        )
    return name_of_terminal(claim, terminal_id, source=source)


def same_fleet(claims: Mapping[str, ProvisioningClaim]) -> list[str]:
    """Return what is wrong with claims that are to be one fleet's, by terminal."""
    if not claims:
        return []
    first_id, first = next(iter(claims.items()))
    return [
        f"{terminal_id}: its claim is of fleet {claim.fleet_id} at {claim.url}, that of {first_id} of {first.fleet_id} at {first.url}"
        for terminal_id, claim in claims.items()
        if (claim.fleet_id, claim.url, claim.root) != (first.fleet_id, first.url, first.root)
    ]


def plan(wanted: Wanted, common: Files, *, digests: Mapping[str, str] | None = None) -> dict[str, Path | bytes]:
    """Return all files of a card.

    Args:
        wanted: what is this terminal's.
        common: what all have.
        digests: of the common files, where they are known.

    Raises:
        FileUnusable: with everything that is wrong.
    """
    if wrong := wanted_problems(wanted):
        raise FileUnusable("; ".join(wrong))
    own = own_files(wanted)
    known = dict(digests) if digests is not None else digests_of(common)
    known |= digests_of(own)
    sheet = card_sheet(wanted, known, software=f"lifecert {version('lifecert')}")
    return {**common, **own, CARD: sheet}


def digests_of(files: Files) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {name: sha256(source) for name, source in files.items()}


def public_part(wanted: Wanted) -> dict[str, object]:
    """Return what may be shown of it."""
    return {
        "fleet_id": wanted.claim.fleet_id,
        "terminal_id": wanted.terminal_id,
        "host_name": wanted.host_name,
        "timezone": wanted.timezone,
        "wifi": wanted.wifi.ssid if wanted.wifi else None,
        "address": wanted.wired.address if wanted.wired else "dhcp",
        "claim_expires_at": wanted.claim.expires_at.isoformat(),
        "ssh_keys": len(wanted.ssh_keys),
    }


def keys_in(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the public keys in files, one a line.

    Raises:
        FileUnusable: if a file cannot be read, or is a private key.
    """
    found: list[str] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileUnusable(f"{path}: cannot be read as a public key: {error}") from error
        if "PRIVATE KEY" in text:
            raise FileUnusable(
                f"{path}: a private key, which must never be on a card; give the file that ends with .pub"
            )
        found += [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple(found)
