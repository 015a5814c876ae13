"""One session on a clip, in fast time, with throw-away keys and nothing on the disk; and what the whole clip shows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from device.adapters.clock_system import read_system
from device.adapters.entropy_system import SystemEntropy
from device.app.enrol import reference_of
from device.app.identity import identity_of
from device.errors import CameraUnavailable
from device.ports import Camera, Clock, Entropy, Errand, Prompter
from device.runner.lockstep import run_session
from device.runner.loop import Ports, Runner, Stored
from device.runner.worker import VisionWorker
from device.simulated.actor import Actor, open_actor, open_script, portrait
from device.simulated.camera import HeardPrompter, SimulatedCamera, SimulatedRingLight
from device.simulated.clips import encode_png
from device.simulated.clock import SteppedClock
from device.simulated.panel import SimulatedPanel
from device.simulated.stores import FixedPolicy, FixedRulePacks, MemoryOutbox, MemoryReferences, ThrowAwaySigner
from device.vision.evidence.actions import ActionDetector, ActionInterval, motion_of
from device.vision.inference import Networks
from device.vision.pipeline import VisionPipeline
from protocol.challenge import Action
from protocol.documents import claim_token, parse_document
from protocol.policy import PathName, Policy
from protocol.records import CertificationRecord
from protocol.references import CaptureKind
from protocol.roster import RosterEntry

_DOMAIN = "throw-away"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ReferencePicture:
    """A picture to enrol on the fly."""

    content: bytes
    name: str
    capture: CaptureKind


def reference_picture(path: Path, capture: CaptureKind) -> ReferencePicture:
    """Return the picture of `picture_bytes`, to be enrolled on the fly.

    Raises:
        CameraUnavailable: if the file cannot be read.
        ClipInvalid: if a clip description cannot be used.
    """
    return ReferencePicture(picture_bytes(path), path.name, capture)


def picture_bytes(path: Path) -> bytes:
    """Read a picture file, or take a layered clip's person at rest in the room's own light, as PNG.

    Raises:
        CameraUnavailable: if the file cannot be read.
        ClipInvalid: if a clip description cannot be used.
    """
    if path.suffix == ".toml":
        return encode_png(portrait(path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise CameraUnavailable(f"image {path}: cannot be read: {error.strerror}") from error


class TrackReport(BaseModel):
    """How the face was followed over the whole clip."""

    model_config = ConfigDict(frozen=True)

    frames: int
    """Frames looked at."""
    seen: int
    """Frames in which the subject's face was found."""
    lost: int
    """Frames in which it was not."""
    most_faces: int
    """Largest number of faces in one frame."""
    track_ids: tuple[int, ...]
    """Tracks in the order of their appearance; one means that the face was never lost."""
    frame_rate: float


class ClipEvent(BaseModel):
    """An action found in the clip."""

    model_config = ConfigDict(frozen=True)

    event: Action
    start_frame: int
    """0 is the first frame as played."""
    end_frame: int
    peak: float
    """Degrees for turns, mouth ratio, lost part of the eyes' openness."""


class ClipResult(BaseModel):
    """The decision on a clip, and what the whole clip shows."""

    model_config = ConfigDict(frozen=True)

    outcome: str
    reasons: tuple[str, ...]
    certified_until: date | None
    record: CertificationRecord
    """Everything the terminal would have signed and sent."""
    said: tuple[str, ...]
    """Lines the terminal gave, in order."""
    track: TrackReport
    events: tuple[ClipEvent, ...]


def certify_clip(
    number: str,
    frames: Path,
    *,
    networks: Networks,
    policy: Policy,
    reference: ReferencePicture | None,
    path: PathName = PathName.STANDARD,
    witness: str | None = None,
    entropy: Entropy | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> ClipResult:
    """Carry out one session on a clip, then look at the whole of it.

    Args:
        number: identity number of the claim.
        frames: a clip, image folder or clip description. One with segments answers the prompts, everything else plays once.
        networks: the terminal's networks.
        policy: the policy to decide by.
        reference: what to compare with; without one the outcome is `no_reference`.
        path: the way through the session.
        witness: who vouches for the presentation.
        entropy: where the challenge is drawn from; the system's by default.
        on_frame: called for each frame of the second part, for a progress display.

    Raises:
        Malformed: if the number or the witness is none.
        CameraUnavailable: if clip or picture cannot be read.
        ClipInvalid: if a clip description cannot be used.
        PictureUnsuitable: if the reference picture does not show exactly one whole face.
    """
    said: list[str] = []
    record = play_session(
        number,
        open_actor(frames, is_looped=False),
        networks=networks,
        policy=policy,
        reference=reference,
        path=path,
        witness=witness,
        entropy=entropy,
        on_line=said.append,
    )
    track, events = watch(frames, networks, on_frame=on_frame)
    return ClipResult(
        outcome=record.decision.outcome,
        reasons=record.decision.reasons,
        certified_until=record.decision.certified_until,
        record=record,
        said=tuple(str(line) for line in said),
        track=track,
        events=events,
    )


def play_session(
    number: str,
    actor: Actor,
    *,
    networks: Networks,
    policy: Policy,
    reference: ReferencePicture | None,
    path: PathName = PathName.STANDARD,
    witness: str | None = None,
    entropy: Entropy | None = None,
    seed: int = 0,
    wire: Callable[[Camera], Camera] = lambda camera: camera,
    on_line: Callable[[str], None] = lambda _: None,
    prompter: Callable[[Callable[[str], None], Clock], Prompter] | None = None,
) -> CertificationRecord:
    """Carry out one session in front of an actor, in stepped time and with throw-away keys, and return its record.

    Args:
        number: identity number of the claim.
        actor: who is seen.
        networks: the terminal's networks.
        policy: the policy to decide by.
        reference: what to compare with.
        path: the path through the session.
        witness: who vouches for the presentation, where the path asks for somebody.
        entropy: where the challenge is drawn from; the system's by default.
        seed: of the sensor's noise.
        wire: what stands between camera and terminal, e.g. a bus that loses frames; nothing by default.
        on_line: takes every line the terminal gives.
        prompter: makes what gives the lines instead, from what the actor hears a line by and the terminal's clock, which stands at 0 when
            the claim is presented; by default he hears each line as soon as it begins.

    Raises:
        Malformed: if the number or the witness is none.
        CameraUnavailable: if the picture cannot be read.
        PictureUnsuitable: if the reference picture does not show exactly one whole face.
    """
    document = parse_document(number)
    start = read_system().wall_clock
    clock = SteppedClock(start)
    claim_key, feature_key = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_KEY_BYTES)
    entries: tuple[RosterEntry, ...] = ()
    if reference is not None:
        enrolled = reference_of(
            reference.content,
            networks,
            name=reference.name,
            key=feature_key,
            key_domain=_DOMAIN,
            capture=reference.capture,
            now=start,
        )
        entry = RosterEntry(
            roster_version=1,
            subject_id=secrets.token_hex(16),
            claim_token=claim_token(document, claim_key),
            references=(enrolled,),
        )
        entries = (entry,)
    camera = SimulatedCamera(actor, clock, seed=seed)
    stored: list[Stored] = []
    panel = SimulatedPanel()
    runner = Runner(
        Ports(
            panel=panel,
            prompter=prompter(camera.hear, clock) if prompter is not None else HeardPrompter(camera.hear, on_line),
            outbox=MemoryOutbox(),
            references=MemoryReferences(entries, claim_key=claim_key, feature_keys={_DOMAIN: feature_key}),
            policies=FixedPolicy(policy),
            packs=FixedRulePacks(),
            signer=ThrowAwaySigner(),
            clock=clock,
            entropy=entropy or SystemEntropy(),
        ),
        identity=identity_of(networks, fleet_id="none", terminal_id="none", is_simulated=True),
        on_notice=lambda notice: stored.append(notice) if isinstance(notice, Stored) else None,
    )
    ring = SimulatedRingLight(camera)
    worker = VisionWorker(
        wire(camera),
        VisionPipeline(networks),
        now_ns=clock.monotonic_ns,
        post=runner.post,
        is_paced=True,
        ring=ring,
        texture=networks.texture,
    )
    runner.attach(worker)
    panel.start(runner.press)
    camera.start()
    ring.start()
    runner.present_claim(number, Errand(path=path, witness=witness))
    run_session(runner, worker, clock)
    worker.close()
    camera.stop()
    panel.stop()
    return stored[-1].record


def watch(
    frames: Path, networks: Networks, *, on_frame: Callable[[], None] = lambda: None
) -> tuple[TrackReport, tuple[ClipEvent, ...]]:
    """Follow the face through a whole clip as it lies on the disk, and name the actions in it.

    Raises:
        CameraUnavailable: if the clip cannot be read.
        ClipInvalid: if a clip description cannot be used.
    """
    source = open_script(frames)
    pipeline = VisionPipeline(networks)
    detector = ActionDetector()
    intervals: list[ActionInterval] = []
    open_at_end: tuple[ActionInterval, ...] = ()
    seen, most, count = 0, 0, 0
    tracks: list[int] = []
    for frame in source.frames():
        count += 1
        observation = pipeline.process(frame)
        most = max(most, observation.face_count)
        if observation.subject is not None:
            seen += 1
            if observation.subject.track_id not in tracks:
                tracks.append(observation.subject.track_id)
        report = detector.observe(motion_of(observation), monotonic_ns=frame.monotonic_ns)
        intervals += report.completed
        open_at_end = report.active
        on_frame()
    intervals += open_at_end
    events = tuple(
        ClipEvent(
            event=interval.action,
            start_frame=source.original(interval.start_sequence),
            end_frame=source.original(interval.end_sequence),
            peak=round(interval.peak, 3),
        )
        for interval in sorted(intervals, key=lambda interval: interval.start_sequence)
    )
    track = TrackReport(
        frames=count,
        seen=seen,
        lost=count - seen,
        most_faces=most,
        track_ids=tuple(tracks),
        frame_rate=source.rate,
    )
    return track, events
