"""The fleet of the field, as a process whose clock is behind by so many seconds: `python -m demo.field.fleet CONFIG SECONDS`."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from fleet.app import open_fleet
from fleet.clock import system_clock
from fleet.service import Service
from fleet.settings import load_settings


def main() -> None:
    """Serve until SIGTERM."""
    behind = timedelta(seconds=float(sys.argv[2]))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with open_fleet(load_settings(Path(sys.argv[1])), clock=lambda: system_clock() - behind) as fleet:
        service = Service(fleet)
        service.start()
        service.wait_connected(30)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended.wait()
        service.stop()


if __name__ == "__main__":
    main()
