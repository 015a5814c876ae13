"""A small file replaced as a whole, by whichever of several threads and processes comes."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` in place of the file, so that a reader finds the old or the new content; the last of several writers stays.

    What writers that were killed left beside it is removed first.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    # Terminal and uplink both write, and a thread that works on a stick besides: the kernel's number of the thread is nobody else's.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_native_id()}.new")
    fresh.unlink(missing_ok=True)
    try:
        # Whoever writes may be root and the folder somebody else's: what lies there under this name by now is never followed.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _remove_left_behind(path: Path) -> None:
    # Names without the thread or the ending are those of earlier versions.
    pattern = re.compile(re.escape(path.name) + r"\.(\d{1,10})(?:\.\d{1,10})?(?:\.new)?")
    for beside in path.parent.iterdir():
        found = pattern.fullmatch(beside.name)
        if found is not None and not _is_running(int(found[1])):
            with suppress(OSError):
                beside.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
