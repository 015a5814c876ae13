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
from datetime import UTC, datetime
from pathlib import Path

from demo.people import FOLDER, LIANG
from device.adapters.entropy_system import SystemEntropy
from device.adapters.inference_tflite import open_networks
from device.app.clip import identity_of
from device.app.enrol import reference_of
from device.runner.lockstep import run_session
from device.runner.loop import Ports, Runner, Stored
from device.runner.worker import VisionWorker
from device.simulated.actor import Actor, open_actor
from device.simulated.camera import HeardPrompter, SimulatedCamera
from device.simulated.clock import SteppedClock
from device.simulated.panel import SimulatedPanel
from device.simulated.stores import FixedPolicy, MemoryOutbox, MemoryReferences, ThrowAwaySigner
from device.vision.frame import Pixels
from device.vision.inference import Networks
from device.vision.pipeline import VisionPipeline
from protocol.documents import claim_token, parse_document
from protocol.policy import default_policy
from protocol.records import CertificationRecord
from protocol.references import CaptureKind
from protocol.roster import RosterEntry

_START = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
_LONGEST_LOOP_S = 20.0


class _Delayed:
    """An actor that has been playing for a while."""

    def __init__(self, actor: Actor, delay_s: float) -> None:
        self._actor = actor
        self._delay_s = delay_s

    @property
    def rate(self) -> float:
        return self._actor.rate

    def picture(self, at_s: float) -> Pixels | None:
        return self._actor.picture(at_s + self._delay_s)

    def hear(self, line: str, at_s: float) -> None:
        self._actor.hear(line, at_s + self._delay_s)


def attempt(networks: Networks, actor: Path, portrait: bytes, *, delay_s: float) -> CertificationRecord:
    """Carry out one session and return its record."""
    clock = SteppedClock(_START)
    claim_key, feature_key = secrets.token_bytes(32), secrets.token_bytes(32)
    reference = reference_of(
        portrait, networks, name="portrait", key=feature_key, key_domain="d1", capture=CaptureKind.LIVE, now=_START
    )
    entry = RosterEntry(
        roster_version=1,
        subject_id=secrets.token_hex(16),
        claim_token=claim_token(parse_document(LIANG.number), claim_key),
        references=(reference,),
    )
    camera = SimulatedCamera(_Delayed(open_actor(actor), delay_s), clock)
    panel = SimulatedPanel()
    stored: list[CertificationRecord] = []
    runner = Runner(
        Ports(
            panel=panel,
            prompter=HeardPrompter(camera.hear, lambda _: None),
            outbox=MemoryOutbox(),
            references=MemoryReferences((entry,), claim_key=claim_key, feature_keys={"d1": feature_key}),
            policies=FixedPolicy(default_policy()),
            signer=ThrowAwaySigner(),
            clock=clock,
            entropy=SystemEntropy(),
        ),
        identity=identity_of(networks, fleet_id="none", terminal_id="none"),
        on_notice=lambda notice: stored.append(notice.record) if isinstance(notice, Stored) else None,
    )
    worker = VisionWorker(camera, VisionPipeline(networks), now_ns=clock.monotonic_ns, post=runner.post, is_paced=True)
    runner.attach(worker)
    panel.start(runner.press)
    camera.start()
    runner.present_claim(LIANG.number)
    run_session(runner, worker, clock)
    camera.stop()
    panel.stop()
    return stored[-1]


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
