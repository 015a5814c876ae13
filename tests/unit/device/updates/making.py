"""Bundles for tests."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device.settings import Settings
from device.updates.slots import MARK, Slots
from protocol.bundle import (
    Bundle,
    BundleFile,
    BundleKind,
    BundleManifest,
    KeyOf,
    Place,
    checked,
    read_bundle,
    read_manifest,
    write_bundle,
)
from protocol.desired import DesiredBundle, DesiredState
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey
from protocol.times import DeviceTime

KEY = PrivateKey.generate()


def place(**changes: Any) -> Place:
    given: dict[str, Any] = {
        "machine": "aarch64",
        "python": "3.13",
        "running": {},
        "floors": {},
        "now": datetime(2026, 11, 20, tzinfo=UTC),
    }
    return Place(**{**given, **changes})


def make_bundle(number: int = 1, *, seed: int = 0, files: int = 5, key: PrivateKey = KEY, **changes: Any) -> bytes:
    """Return a signed bundle: files of drawn bytes."""
    chance = random.Random(f"{number} {seed}")
    contents = {
        f"part-{index % 2}/file-{index}.bin": chance.randbytes(chance.randrange(0, 5000)) for index in range(files)
    }
    given: dict[str, Any] = {
        "kind": BundleKind.NETWORKS,
        "label": f"1.{number}",
        "number": number,
        "floor": 1,
        "made_at": datetime(2026, 11, 1, tzinfo=UTC),
        "expires_at": datetime(2027, 11, 1, tzinfo=UTC),
        "files": tuple(
            BundleFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in contents.items()
        ),
    }
    target = io.BytesIO()
    write_bundle(target, BundleManifest(**{**given, **changes}), map(io.BytesIO, contents.values()), key=key)
    return target.getvalue()


def unpacked(slots: Slots, slot: str, *, key_of: KeyOf = lambda _: KEY.public()) -> Bundle | None:
    """Return the bundle in a slot if it is whole: signed, marked, and every file as it was signed."""
    root = slots.path(slot)
    try:
        bundle = read_manifest((root / MARK).read_bytes(), key_of=key_of)
        whole = all((root / each.name).read_bytes() == b"".join(_signed(root, each)) for each in bundle.manifest.files)
    except (FileNotFoundError, NotADirectoryError, ProtocolError):
        return None
    return bundle if whole else None


def _signed(root: Path, file: BundleFile) -> Iterator[bytes]:
    with (root / file.name).open("rb") as source:
        yield from checked(source, file)


def want_of(bundle: bytes, *, since: int = 1) -> DesiredBundle:
    """Return what the office says of a bundle."""
    found = read_bundle(io.BytesIO(bundle), key_of=lambda _: KEY.public())
    manifest = found.manifest
    return DesiredBundle(
        kind=manifest.kind,
        bundle_id=found.bundle_id,
        number=manifest.number,
        label=manifest.label,
        size=len(bundle),
        since=since,
    )


def desired_of(number: int, *wants: DesiredBundle, terminal: str = "t-1", **changes: Any) -> DesiredState:
    """Return what the office wants."""
    return DesiredState(
        fleet_id="north",
        terminal_id=terminal,
        number=number,
        issued_at=datetime(2026, 11, 1, tzinfo=UTC),
        bundles=wants,
        **changes,
    )


def settings_in(folder: Path, **updates: Any) -> Settings:
    """Return settings of a terminal whose data and slots are in a folder."""
    return Settings.model_validate(
        {
            "terminal": {"fleet_id": "north", "terminal_id": "t-1", "data_dir": folder / "data"},
            "updates": {"slots_dir": folder / "slots", "spare_bytes": 0, **updates},
        }
    )


def moment(**changes: Any) -> DeviceTime:
    """Return a moment of a terminal whose clock is right, or as told."""
    given = {
        "boot_id": "b" * 32,
        "monotonic_ns": 1,
        "wall_clock": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "source": "network",
        "uncertainty_s": 0.1,
    }
    return DeviceTime.model_validate({**given, **changes})
