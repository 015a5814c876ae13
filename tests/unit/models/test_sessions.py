"""Sessions on several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_PLAY = """
import os, sys, time
from pathlib import Path
from models.tools.sessions import Opened, spread

def play(task, folder, opened):
    (folder / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    list(spread(play, range(2), Path(sys.argv[1]), Opened(Path(), "none", "auto"), jobs=2))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_one_that_hands_out_tasks_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    script, begun = tmp_path / "play.py", tmp_path / "begun"
    script.write_text(_PLAY, encoding="utf-8")
    begun.mkdir()
    root = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen([sys.executable, str(script), str(begun)], env=os.environ | {"PYTHONPATH": str(root)})
    try:
        _until(lambda: len(list(begun.iterdir())) == 2)
        parent.send_signal(how)
        parent.wait(timeout=10)
        _until(lambda: not any(_is_there(int(file.name)) for file in begun.iterdir()))
    finally:
        parent.kill()
        for file in begun.iterdir():
            if _is_there(int(file.name)):
                os.kill(int(file.name), signal.SIGKILL)


def _is_there(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
