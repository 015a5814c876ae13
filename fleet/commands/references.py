"""`lifecert-fleet enrol`, `withdraw` and `references`: what a subject is compared with, and what becomes of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.table import Table

from fleet.audit.log import UNNAMED
from fleet.commands import shared
from fleet.commands.shared import CONFIG, AsJson, Config, named, opened, print_json, say
from fleet.references import enrol as enrolment
from fleet.store import lives
from protocol.references import CaptureKind, LegalBasis

app = typer.Typer(
    help="What becomes of references: new keys, and refreshed ones with a way back.", no_args_is_help=True
)
By = Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")]
_MOST_LISTED = 1000


class Kind(StrEnum):
    """Kinds of picture, as typed; a live reference comes from a terminal's own session, never from a file."""

    PHOTO = "photo"
    PHOTO_CONFIRMED = "photo-confirmed"


def enrol(
    picture: Annotated[
        Path,
        typer.Argument(
            help="Picture file with one face; in a fleet that accepts simulated records, a clip description."
        ),
    ],
    subject: Annotated[str, typer.Option("--subject", help="Subject id or document number; - reads it from input.")],
    kind: Annotated[Kind, typer.Option("--kind", help="How the picture was made.")],
    legal_basis: Annotated[LegalBasis, typer.Option("--legal-basis", help="Why the reference may be kept.")],
    officer: Annotated[
        str | None, typer.Option("--officer", help="Who confirmed the photo; with --kind photo-confirmed.")
    ] = None,
    by: shared.By = UNNAMED,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Make a reference of a subject from a picture; the picture itself is not kept."""
    with opened(config) as fleet:
        what = enrolment.Enrolment(CaptureKind(kind.value.replace("-", "_")), legal_basis, officer)
        who = named(subject)
        with fleet.database.begin() as connection:
            subject_id = enrolment.find_subject(connection, who, fleet.keys)
        made = fleet.settings.references
        report = enrolment.features_of_file(picture, fleet.settings)
        done = enrolment.enrol(
            fleet.database,
            fleet.keys,
            subject_id,
            report,
            what,
            key_domain=made.key_domain,
            validity_months=made.validity_months,
            now=fleet.clock(),
            zone=fleet.settings.zone(),
            by=by,
        )
        if as_json:
            print_json(
                {
                    "subject_id": done.subject_id,
                    "reference_id": done.reference_id,
                    "quality": done.quality,
                    "terminals": done.terminals,
                }
            )
        else:
            say(f"reference {done.reference_id} stored, quality {done.quality:.0f}, on {done.terminals} rosters")


def withdraw(
    reference: Annotated[str, typer.Argument(help="Reference id.")],
    by: shared.By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Erase a reference and take it from the terminals."""
    with opened(config) as fleet:
        subject_id = enrolment.withdraw(fleet.database, fleet.keys, reference, now=fleet.clock(), by=by)
        say(f"reference {reference} of subject {subject_id} is withdrawn")


@app.command("rotate")
def rotate_references(
    domain: Annotated[str | None, typer.Option("--domain", help="Key domain; by default the one in use.")] = None,
    by: shared.By = UNNAMED,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Bring every reference to a new key domain, without new pictures; run again it goes on where it was cut off."""
    # Loaded here, because the other commands need no numpy.
    from fleet.references import domains

    with opened(config) as fleet:
        if domain is None:
            with fleet.database.begin() as connection:
                domain = domains.current_domain(connection, fleet.settings.references.key_domain)
        done = domains.rotate(fleet.database, fleet.keys, domain, now=fleet.clock(), by=by)
        if as_json:
            print_json(asdict(done))
            return
        say(f"{done.moved} references moved from key domain {domain} to {done.domain}")
        if done.left:
            say(f"{done.left} were moved too often before and stay; enrol these people anew")


@app.command("proposals")
def list_proposals(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List what waits for somebody's approval, oldest first: refreshed references, and enrolments that could not be used at once."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = lives.proposals(connection, limit=_MOST_LISTED)
        rows = [
            {
                "reference_id": kept.reference.reference_id,
                "subject_id": kept.subject_id,
                "record_id": kept.proposed_record or kept.made_by_record,
                "waits_for": kept.waits_for or "",
                "captured_at": kept.reference.captured_at.isoformat(),
                "quality": kept.reference.quality,
                "likeness": kept.likeness,
            }
            for kept in found
        ]
        if as_json:
            typer.echo(json.dumps(rows))
            return
        table = Table("reference", "subject", "record", "waits for", "captured", "quality", "likeness")
        for row in rows:
            table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
        Terminal().print(table)


@app.command("approve")
def approve_reference(
    reference: Annotated[str, typer.Argument(help="Reference id.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Put a proposed reference in use; the one it displaces is set aside, as the way back."""
    from fleet.references import refresh

    with opened(config) as fleet:
        subject_id = refresh.approve(
            fleet.database, fleet.keys, reference, by=by, most=refresh.MOST_IN_USE, now=fleet.clock()
        )
        say(f"reference {reference} of subject {subject_id} is in use")


@app.command("reject")
def reject_reference(
    reference: Annotated[str, typer.Argument(help="Reference id.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Erase a proposed reference."""
    from fleet.references import refresh

    with opened(config) as fleet:
        subject_id = refresh.reject(fleet.database, fleet.keys, reference, by=by, now=fleet.clock())
        say(f"reference {reference} of subject {subject_id} is rejected")


@app.command("revert")
def revert_reference(
    subject: Annotated[str, typer.Argument(help="Subject id or document number; - reads it from input.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Take the newest refreshed reference of a subject out of use, and what it displaced back in."""
    from fleet.references import refresh

    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            who = enrolment.find_subject(connection, named(subject), fleet.keys)
        out, back = refresh.revert(fleet.database, fleet.keys, who, by=by, now=fleet.clock())
        say(f"reference {out} of subject {who} is out of use" + (f", {back} is back" if back else ""))
