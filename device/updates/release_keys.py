"""Who may sign bundles: public keys in a file that only root writes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from protocol.errors import Malformed
from protocol.keys import PublicJwk

logger = logging.getLogger(__name__)

_MOST_BYTES = 64 * 1024


def release_keys(path: Path) -> Callable[[str], PublicJwk | None]:
    """Return what gives the release key of a key id, or None; the file is read anew each time, it may come later than the program.

    A file that is missing or damaged is no key: then no bundle is taken, and what runs goes on.

    Args:
        path: a JWK set. Source: RFC 7517, section 5.
    """
    return lambda kid: load(path).get(kid)


def load(path: Path) -> dict[str, PublicJwk]:
    """Return the keys in a file by key id; empty where none can be read."""
    try:
        with path.open("rb") as file:
            found: Any = json.loads(file.read(_MOST_BYTES))
        # Of a key only what makes it: `kid`, `use` and the like may stand beside.
        keys = [PublicJwk(**{name: each[name] for name in ("kty", "crv", "x", "y")}) for each in found["keys"]]
        return {key.key_id: key for key in keys}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, ValidationError, Malformed) as error:
        logger.warning("release keys cannot be read file=%s error=%s", path.name, type(error).__name__)
        return {}
