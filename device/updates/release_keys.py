"""Who may sign bundles: public keys in a file that only root writes."""

from __future__ import annotations

import logging
from pathlib import Path

from protocol.bundle import KeyOf
from protocol.errors import Malformed
from protocol.keys import PublicJwk
from protocol.release_keys import public_keys

logger = logging.getLogger(__name__)

_MOST_BYTES = 64 * 1024


def release_keys(path: Path) -> KeyOf:
    """Return what gives the release key of a key id, or None; the file is read anew each time, it may come later than the program.

    A file that is missing or damaged is no key: then no bundle is taken, and what runs goes on.
    """
    return lambda kid: load(path).get(kid)


def load(path: Path) -> dict[str, PublicJwk]:
    """Return the keys in a file by key id; empty where none can be read."""
    try:
        with path.open("rb") as file:
            return {key.key_id: key for key in public_keys(file.read(_MOST_BYTES))}
    except FileNotFoundError:
        return {}
    except (OSError, Malformed) as error:
        logger.warning("release keys cannot be read file=%s error=%s", path.name, type(error).__name__)
        return {}
