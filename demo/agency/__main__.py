"""`python -m demo.agency --people 20000 --port 8080`: the console on a made-up agency, until Ctrl-C; nothing of it stays."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path

from demo.accounts import links
from demo.agency.build import staff_of
from demo.agency.people import communities
from demo.agency.show import fresh_agency, shown
from demo.agency.world import ZONE
from demo.processes import is_free
from fleet.clock import day_of, system_clock

_FEWEST_PEOPLE, _FEWEST_TERMINALS = 2_000, 20


def main() -> int:
    """Build, show, wait; 0 after Ctrl-C, 1 if it does not start, 2 for arguments that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m demo.agency", description=__doc__)
    parser.add_argument("--people", type=int, default=20_000, help=f"at least {_FEWEST_PEOPLE}")
    parser.add_argument("--terminals", type=int, default=200, help=f"at least {_FEWEST_TERMINALS}")
    parser.add_argument("--port", type=int, default=8080, help="of the console")
    parser.add_argument("--seed", type=int, default=1, help="another one makes other people")
    parser.add_argument(
        "--today", type=date.fromisoformat, default=None, help="another day, at whose evening its clock begins"
    )
    asked = parser.parse_args()
    if asked.people < _FEWEST_PEOPLE or asked.terminals < _FEWEST_TERMINALS:
        parser.error(f"--people: at least {_FEWEST_PEOPLE}, --terminals: at least {_FEWEST_TERMINALS}")
    if not is_free(asked.port):
        _say(f"port {asked.port} is taken: end the program that uses it, or give another --port")
        return 1
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    # That the fleet refuses messages is part of the picture.
    logging.basicConfig(level=logging.ERROR)
    # A real generator's codes and everybody's own clock hold there, unless another day is asked for.
    now = None if asked.today else system_clock()
    # Just after midnight there is nothing of a day yet.
    today = day_of(now - timedelta(hours=1), ZONE) if now else asked.today
    folder = Path(tempfile.mkdtemp(prefix="lifecert-agency-"))
    try:
        begun = time.monotonic()
        _say(f"making {asked.people} people and {asked.terminals} terminals ...")
        with fresh_agency(
            folder, today=today, now=now, people=asked.people, terminals=asked.terminals, seed=asked.seed, say=_say
        ) as built:
            _say(f"made in {time.monotonic() - begun:.0f} s")
            with shown(built, port=asked.port, clock=system_clock if now else None) as (address, fleet):
                _say(f"console on {address}; Ctrl-C ends it, and nothing of it stays")
                if now is None:
                    _say(
                        f"its clock says {fleet.clock().astimezone(ZONE):%Y-%m-%d %H:%M:%S}, and codes of a generator go by it"
                    )
                _say("open the link of somebody; each is good once, within an hour:")
                for who, link in links(fleet, staff_of(communities(asked.people))).items():
                    _say(f"  {who}: {link}")
                ended.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
