"""How often does a looped recording get past the challenge by luck? Prints counts as JSON.

    python -m demo.replay_odds [--sessions 100] [--actor screen_om]

Each session has a fresh nonce and runs through the terminal's own vision and session in fast time, with the subject's own
face as reference, so that nothing but the challenge stands in the way. The recording starts at a random moment of its loop.
"""

from __future__ import annotations

import argparse
import collections
import json
import secrets
import sys
from pathlib import Path

from demo.people import FOLDER, LIANG
from device.adapters.inference_tflite import open_networks
from device.app.clip import ReferencePicture, play_session
from device.simulated.actor import Actor, open_actor
from device.simulated.presenting import Seen
from device.vision.inference import Networks
from protocol.evidence import EvidenceKind
from protocol.policy import PathName, PathPolicy, default_policy
from protocol.records import CertificationRecord
from protocol.references import CaptureKind

_LONGEST_LOOP_S = 20.0


class _Delayed:
    """An actor that has been playing for a while."""

    def __init__(self, actor: Actor, delay_s: float) -> None:
        self._actor = actor
        self._delay_s = delay_s

    @property
    def rate(self) -> float:
        return self._actor.rate

    def picture(self, at_s: float) -> Seen | None:
        return self._actor.picture(at_s + self._delay_s)

    def hear(self, line: str, at_s: float) -> None:
        self._actor.hear(line, at_s + self._delay_s)


_UNLIT = default_policy().model_copy(
    update={
        "paths": {PathName.STANDARD: PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY))},
    }
)
"""No light falls on these clips, and what is asked is what challenge and continuity are worth alone."""


def attempt(networks: Networks, actor: Path, portrait: bytes, *, delay_s: float) -> CertificationRecord:
    """Carry out one session and return its record."""
    return play_session(
        LIANG.number,
        _Delayed(open_actor(actor), delay_s),
        networks=networks,
        policy=_UNLIT,
        reference=ReferencePicture(portrait, "portrait", CaptureKind.LIVE),
    )


def main() -> None:
    """Run the sessions and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m demo.replay_odds", description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--actor", default="screen_om")
    arguments = parser.parse_args()
    networks = open_networks(Path(__file__).parents[1] / "models")
    portrait = LIANG.portrait()
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(arguments.sessions):
        delay_s = secrets.randbelow(1000) / 1000 * _LONGEST_LOOP_S
        record = attempt(networks, FOLDER / f"{arguments.actor}.toml", portrait, delay_s=delay_s)
        outcomes[record.decision.outcome] += 1
        sys.stderr.write(f"\r{number + 1} of {arguments.sessions}")
    sys.stdout.write(json.dumps({"sessions": arguments.sessions, "outcomes": outcomes}) + "\n")


if __name__ == "__main__":
    main()
