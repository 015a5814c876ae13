"""What several tests of the terminal need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from protocol.courier import Address, CourierBundle, courier_message
from protocol.courier_files import BundleWriter, make_bundle
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.stick import open_stick
from protocol.topics import Kind

MADE_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def write_bundle() -> Callable[..., None]:
    """Writes onto a stick what the fleet, or somebody else, has for terminal t-1 of fleet north, a chunk for each message."""

    def write(
        stick: Path,
        *tokens: tuple[Kind, bytes],
        signer: PrivateKey,
        reader: PrivateKey,
        bundle: CourierBundle = CourierBundle.ANSWERS,
        made_at: datetime = MADE_AT,
    ) -> None:
        stick.mkdir(exist_ok=True)
        address = Address("north", "t-1", bundle)
        with open_stick(stick) as root, make_bundle(root, address) as folder:
            writer = BundleWriter(
                folder,
                address,
                sign=lambda payload, typ: sign(payload, key=signer, typ=typ),
                writer_id=signer.key_id,
                reader=reader.public(),
                made_at=made_at,
            )
            for kind, token in tokens:
                writer.put(writer.next_sequence, writer.content([token]), [courier_message(kind, token)])
            writer.finish()

    return write
