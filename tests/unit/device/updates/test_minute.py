"""What systemd has given up on comes again when an update has changed what it would start from; systemd is a script here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.updates import minute
from device.updates import slots as guard
from device.updates.slots import Slots
from device.updates.trial import Limits, Trial, Verdict, examined

pytestmark = pytest.mark.provisioning

TERMINAL, UPLINK, PORT = minute.TERMINAL, "lifecert-uplink.service", "lifecert-screen.socket"
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")"
shift
case $1 in
  is-failed) [ -e "failed-$3" ] ;;
  *) echo "$*" >>said; [ "$1" != reset-failed ] || rm -f "failed-$2" ;;
esac
"""


class Site:
    """Slots of one kind, and a systemd that remembers what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kinds = folder / "kinds"
        self.slots = Slots(self.kinds / "app")
        self.slots.begin()
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.programs / "systemctl").write_text(SYSTEMCTL)
        (self.programs / "systemctl").chmod(0o755)

    def fail(self, *units: str) -> None:
        for unit in units:
            (self.programs / f"failed-{unit}").touch()

    def minute(self) -> list[str]:
        """Let a minute pass; return what systemd was told."""
        assert minute.main(self.kinds, 60) == 0
        said = self.programs / "said"
        told = said.read_text().splitlines() if said.exists() else []
        said.unlink(missing_ok=True)
        return told

    def switch(self) -> None:
        if not self.slots.path(self.slots.other).is_dir():
            self.slots.path(self.slots.other).mkdir()
        self.slots.switch("ab" * 32, Limits(needs_contact=False), number=2)

    def trial(self) -> Trial:
        found = self.slots.state().trial
        assert found is not None
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setenv("PATH", f"{made.programs}{os.pathsep}{os.environ['PATH']}")
    return made


STARTED = [f"reset-failed {PORT}", f"reset-failed {TERMINAL}", f"start --no-block {TERMINAL}"]


def test_what_is_up_or_was_stopped_is_left_alone(site: Site) -> None:
    site.switch()
    assert site.minute() == []


def test_a_program_that_is_not_tried_again_ends_its_trial_and_what_ran_before_comes_again(site: Site) -> None:
    site.switch()
    back = site.trial().back
    for _ in range(Limits().starts + 1):
        # It ends with 78, which systemd does not try again; each start counts before it.
        guard.main(site.kinds)
        if site.slots.current == back:
            break
        site.fail(TERMINAL)
        assert site.minute() == STARTED
    assert site.slots.current == back
    ended = site.slots.state().last
    assert ended is not None
    assert ended.why == "crash_loop"


def test_a_kept_program_that_crashes_later_is_started_with_the_mend_and_its_trial_ends(site: Site) -> None:
    site.fail(TERMINAL)
    assert site.minute() == STARTED, "once, since it is not known what it was started from"
    site.fail(TERMINAL)
    assert site.minute() == [], "the same again would end the same way"
    site.switch()
    assert site.minute() == STARTED
    assert site.trial().seconds == 60, "nobody is served, so the time counts without a start"


def test_a_link_that_was_turned_back_starts_what_had_failed_by_then_once(site: Site) -> None:
    site.fail(UPLINK)
    assert site.minute() == [f"reset-failed {UPLINK}", f"start --no-block {UPLINK}"]
    site.switch()
    assert site.slots.change(lambda trial: examined(trial, is_healthy=False)) is Verdict.GO_BACK
    site.fail(UPLINK)
    assert site.minute() == [f"reset-failed {UPLINK}", f"start --no-block {UPLINK}"]
    site.fail(UPLINK)
    assert site.minute() == []


def test_without_systemd_the_time_counts_as_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.switch()
    monkeypatch.setenv("PATH", str(site.folder / "nothing"))
    assert site.minute() == []
    assert site.trial().seconds == 0
    guard.main(site.kinds)
    assert site.minute() == []
    assert site.trial().seconds == 60


def test_a_copy_does_it_without_anything_that_is_installed(site: Site) -> None:
    for name in ("slots", "minute", "trial", "disk"):
        (site.folder / f"{name}.py").write_bytes(Path(guard.__file__).with_name(f"{name}.py").read_bytes())
    site.switch()
    site.fail(TERMINAL)
    command = [sys.executable, "-E", "-s", "-S", str(site.folder / "minute.py"), str(site.kinds), "60"]
    done = subprocess.run(command, cwd=site.folder, capture_output=True, text=True, check=True)
    assert "is started again" in done.stderr
    assert (site.programs / "said").read_text().splitlines() == STARTED
    assert site.trial().seconds == 60
