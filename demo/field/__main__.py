"""`python -m demo.field [--seed N]`: prints one JSON object and exits with 0 if nothing was lost, doubled, changed or miscounted."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.field.story import Field
from demo.processes import DemoError

WRONG = ("lost", "duplicates", "counter_errors", "receipt_errors", "outcome_errors")
"""What must be 0."""


def main() -> int:
    """Play the field."""
    parser = argparse.ArgumentParser(prog="python -m demo.field", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of who comes and how they behave")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--keep", type=Path, help="leave all files in this new folder")
    arguments = parser.parse_args()
    began = time.monotonic()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="lifecert-field-"))
    folder.mkdir(parents=True, exist_ok=True)
    field = Field(folder, seed=arguments.seed, days=arguments.days, sessions=arguments.sessions, say=_say)
    try:
        found = field.play()
    except DemoError as error:
        _say(f"FAIL {error}")
        return 1
    finally:
        field.stop()
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    found["seconds"] = round(time.monotonic() - began, 1)
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    _say(in_words(found))
    return 1 if any(found[name] for name in WRONG) else 0


def in_words(found: Mapping[str, Any]) -> str:
    """Return in one line what the figures mean: why the fleet may have more outcomes than were shown, and what is wrong."""
    cut = found["power_losses"]
    left = found["stored"] - found["served"]
    wrong = [f"{found[name]} {name.replace('_', ' ')}" for name in WRONG if found[name]]
    return (
        f"{found['sessions']} sessions; {cut} told nobody because power went, and {left} of these left a record all the same; "
        + (", ".join(wrong) if wrong else "nothing lost, nothing doubled")
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
