"""`python -m demo`: the whole system on one computer, until Ctrl-C; with `--once`, the story and an exit code."""

from __future__ import annotations

import argparse
import itertools
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from demo.installation import Installation
from demo.people import FANG, LIANG
from demo.processes import DemoError, free_port, is_free
from demo.story import outcome_of, play

WEB_PORT = 8080
_PAUSE_S = 10.0
"""Between two people once the story has been told: a busy counter."""


def main() -> int:
    """Run the demo; return 0 if every case ended as expected."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="play the story and exit")
    parser.add_argument("--port", type=int, default=WEB_PORT, help="port of the console (not with --once)")
    arguments = parser.parse_args()
    once: bool = arguments.once
    web_port = free_port() if once else arguments.port
    if not is_free(web_port):
        _say(f"port {web_port} is taken: end the program that uses it (another demo?), or call PORT=8081 make demo")
        return 1
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: _interrupt(ended))
    folder = Path(tempfile.mkdtemp(prefix="lifecert-demo-"))
    installation = Installation(folder, web_port=web_port)
    try:
        _say("starting database, broker, fleet and two terminals ...")
        installation.start()
        _say(f"console on {installation.console}")
        if not once:
            _say("to sign in, open the link of somebody; each is good once, within an hour:")
            for who, link in installation.add_staff().items():
                _say(f"  {who}: {link}")
            _say(f"more of them: lifecert-fleet accounts link NAME --by demo --config {folder}/fleet/fleet.toml")
        results = []
        for result in play(installation):
            _say(str(result))
            results.append(result)
        failed = sum(not result.is_ok for result in results)
        _say(f"{len(results) - failed} of {len(results)} cases as expected")
        if not once:
            _say("now somebody comes every few seconds; Ctrl-C ends the demo")
            _go_on(installation, ended)
    except DemoError as error:
        _say(f"FAIL {error}")
        return 1
    except KeyboardInterrupt:
        return 0
    else:
        return 1 if failed else 0
    finally:
        installation.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _go_on(installation: Installation, ended: threading.Event) -> None:
    visits = itertools.cycle([(LIANG, "cedar"), (FANG, "peony"), (FANG, "print_flat_peony"), (LIANG, "empty")])
    for terminal, (person, actor) in zip(itertools.cycle(installation.terminals), visits, strict=False):
        if ended.wait(_PAUSE_S):
            return
        _say(f"{terminal.terminal_id}: {actor}: {outcome_of(terminal.claim(person.number, actor))}")
        installation.check()


def _interrupt(ended: threading.Event) -> None:
    ended.set()
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
