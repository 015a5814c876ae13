"""Bundles for tests."""

from __future__ import annotations

import hashlib
import io
import random
from datetime import UTC, datetime
from typing import Any

from protocol.bundle import BundleFile, BundleKind, BundleManifest, Place, write_bundle
from protocol.keys import PrivateKey

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
