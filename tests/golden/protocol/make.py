"""Writes the golden messages of the present protocol version; what is there is never written again.

python tests/golden/protocol/make.py
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from protocol.attestation import KeyStatement, state_key
from protocol.documents import DocumentKind, MaskedDocument
from protocol.envelope import sign
from protocol.events import EVENT_TYP
from protocol.examples import examples, reference_proposed, update_ended
from protocol.keys import PrivateKey
from protocol.presence import PRESENCE_TYP
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.registration import FleetIdentity
from protocol.slip import make_slip
from protocol.wire import WireMessage

HERE = Path(__file__).parent


def main() -> None:
    """Sign every example that has no file yet, with a key that is thrown away; its public half is kept beside it."""
    for typ, message in examples().items():
        if typ.startswith("lifecert-"):
            _make(typ, message, f"v1-{message.TYPE}")
    # What came later within the version has a file of its own beside the old one.
    _make(PRESENCE_TYP, examples()[PRESENCE_TYP], "v1-presence-health")
    _make(PRESENCE_TYP, examples()[PRESENCE_TYP], "v1-presence-reported")
    _make(EVENT_TYP, reference_proposed(), "v1-terminal-event-proposal")
    _make(EVENT_TYP, update_ended(), "v1-terminal-event-update")
    _make_slip()


def _make(typ: str, message: WireMessage, name: str) -> None:
    path = HERE / f"{name}.jws"
    if path.exists():
        return
    key = PrivateKey.generate()
    path.write_bytes(sign(message.to_bytes(), key=key, typ=typ))
    path.with_suffix(".key.json").write_text(key.public().model_dump_json() + "\n", encoding="utf-8")


def _make_slip() -> None:
    """Make a slip, with the identity of the fleet that knows its terminal."""
    path = HERE / "v1-slip.txt"
    if path.exists():
        return
    record = examples()[RECORD_TYP]
    if not isinstance(record, CertificationRecord):
        raise TypeError(f"example of {RECORD_TYP}: {type(record).__name__}")
    fleet, terminal = PrivateKey.generate(), PrivateKey.generate()
    statement = KeyStatement(
        record.fleet_id, record.terminal_id, terminal.public(), date(2026, 11, 1), date(2028, 10, 31)
    )
    slip = make_slip(
        record,
        record_sha256="ab" * 32,
        masked=MaskedDocument(DocumentKind.RESIDENT_ID, "002X"),
        decided_on=date(2026, 11, 2),
        sign=lambda payload, typ: sign(payload, key=terminal, typ=typ),
        attestation=state_key(statement, fleet),
    )
    path.write_text(slip + "\n", encoding="ascii")
    identity = FleetIdentity(fleet_id=record.fleet_id, signing_key=fleet.public())
    (HERE / "v1-slip.fleet.json").write_text(identity.model_dump_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
