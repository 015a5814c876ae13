"""Writes the golden databases of the present schema versions; what is there is never written again.

python tests/golden/databases/make.py
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

from device.adapters.references_sqlite import SCHEMA, SqliteReferenceStore
from device.simulated.clock import SteppedClock
from protocol.references import CaptureKind, LegalBasis, Reference
from protocol.roster import RosterEntry, RosterPage

HERE = Path(__file__).parent
T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def page() -> RosterPage:
    """Return a roster of three subjects, the second without a reference."""
    made = Reference(
        reference_id="7" * 32,
        features="AAECAwQFBgc=",
        model_sha256="a" * 64,
        runtime="r 1",
        key_domain="d1",
        quality=80,
        capture=CaptureKind.LIVE,
        legal_basis=LegalBasis.CONSENT,
        captured_at=T0,
        valid_until=date(2030, 1, 1),
    )
    return RosterPage(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=T0,
        expires_at=datetime(2026, 3, 15, 8, 0, tzinfo=UTC),
        after=0,
        upto=3,
        complete=True,
        claim_key="C" * 43,
        feature_keys={"d1": "F" * 43},
        entries=tuple(
            RosterEntry(
                roster_version=number,
                subject_id=f"{number:032x}",
                claim_token=f"{number:043d}",
                references=() if number == 2 else (made,),
            )
            for number in (1, 2, 3)
        ),
    )


def main() -> None:
    """Make a roster database with a key that is a test's and nobody's."""
    path = HERE / f"references-v{SCHEMA.version}.sqlite"
    if path.exists():
        return
    key = HERE / "storage.key"
    if not key.exists():
        key.write_bytes(os.urandom(32))
    store = SqliteReferenceStore(path, key, SteppedClock(T0))
    store.apply(page())
    store.close()


if __name__ == "__main__":
    main()
