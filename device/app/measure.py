"""What one certification session costs this computer: time to the first decision, memory, and the share of our own code.

Processor time is the calling thread's where it stands beside an interpreter's, and the whole process's elsewhere; it does not
depend on what else the computer does, wall time does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from device.adapters.inference_tflite import Runtime, TfliteNetwork, open_networks
from device.errors import PictureUnsuitable
from device.ports import Camera
from device.simulated.clips import Clip
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from device.vision.frame import Frame, Pixels
from device.vision.inference import GoldenVector, Network, Networks
from device.vision.pipeline import VisionPipeline
from device.vision.texture import TextureScorer
from protocol.manifest import ModelManifest
from protocol.policy import Policy
from protocol.references import protect

if TYPE_CHECKING:
    from device.app.clip import ReferencePicture


class StartCost(BaseModel):
    """From the start of the process to the first comparison score, and what the process then holds."""

    model_config = ConfigDict(frozen=True)

    wall_s: float
    """From the start of the process, as the kernel has it."""
    processor_s: float
    resident_mb: float
    """Memory held in RAM, in 2**20 bytes."""


class NetworkCost(BaseModel):
    """Processor time of one network over a session."""

    model_config = ConfigDict(frozen=True)

    name: str
    runs: int
    invoke_ms: float
    """In the interpreter, mean of a run."""
    around_ms: float
    """In our code between having the network's picture and having its answers: the input tensor filled, the outputs read and
    made real numbers; mean of a run."""


class SessionCost(BaseModel):
    """Processor time of a whole session, the simulated camera's left out."""

    model_config = ConfigDict(frozen=True)

    outcome: str
    frames: int
    processor_s: float
    """All of it: interpreters, cutting and reading pictures, evidence, session, record."""
    invoke_s: float
    """In the interpreters."""
    networks: tuple[NetworkCost, ...]
    peak_resident_mb: float
    """Highest so far in this process, the clip's own pictures included."""


@dataclass
class _Watched:
    """A network that counts the processor time of its answers."""

    network: TfliteNetwork
    ns: int = 0

    @property
    def manifest(self) -> ModelManifest:
        return self.network.manifest

    @property
    def digest(self) -> str:
        return self.network.digest

    @property
    def runtime(self) -> str:
        return self.network.runtime

    def golden(self) -> GoldenVector:
        return self.network.golden()

    def infer(self, image: Pixels) -> Mapping[str, NDArray[np.float32]]:
        begin_ns = time.thread_time_ns()
        answers = self.network.infer(image)
        self.ns += time.thread_time_ns() - begin_ns
        return answers


@dataclass
class _WatchedCamera:
    """A camera that counts the processor time of its pictures."""

    camera: Camera
    ns: int = field(default=0)
    frames: int = field(default=0)

    def start(self) -> None:
        self.camera.start()

    def capture(self, timeout_s: float) -> Frame | None:
        begin_ns = time.process_time_ns()
        frame = self.camera.capture(timeout_s)
        self.ns += time.process_time_ns() - begin_ns
        self.frames += frame is not None
        return frame

    def still(self, timeout_s: float = 2.0) -> Frame:
        return self.camera.still(timeout_s)

    def lock_exposure(self, factor: float) -> None:
        self.camera.lock_exposure(factor)

    def release_exposure(self) -> None:
        self.camera.release_exposure()

    def stop(self) -> None:
        self.camera.stop()


def measure_start(picture: Path, *, models_dir: Path, features: str, runtime: Runtime) -> StartCost:
    """Load the networks and come to one score: detection, landmarks, features, comparison with a protected reference, texture.

    The reference holds noise: what it says has no influence on the time.

    Args:
        picture: a clip or folder whose first picture is looked at.
        models_dir: folder of networks and manifests.
        features: name of the feature network.
        runtime: the interpreter.

    Raises:
        CameraUnavailable: if there is no picture.
        NetworkRefused: if a network cannot be used.
        PictureUnsuitable: if the picture shows nobody.
    """
    networks = open_networks(models_dir, features=features, runtime=runtime)
    pixels = next(iter(Clip(picture).pictures()))
    subject = VisionPipeline(networks).process(Frame(pixels, 0, 0), want_features=True).subject
    if subject is None or subject.features is None:
        raise PictureUnsuitable(f"picture {picture.name}: no face found, one expected")
    key = bytes(32)
    reference = FeatureVector(
        protect(np.roll(subject.features.values, 1).astype(np.float32), key), networks.features.digest, ""
    )
    probe = FeatureVector(protect(subject.features.values.astype(np.float32), key), networks.features.digest, "")
    compare(probe, reference)
    if networks.texture is not None:
        TextureScorer(networks.texture).score(pixels, subject.box)
    return StartCost(
        wall_s=round(_seconds_since_start(), 3),
        processor_s=round(time.process_time(), 3),
        resident_mb=round(_memory_mb("VmRSS"), 1),
    )


def measure_session(
    number: str, clip: Path, *, networks: Networks, policy: Policy, reference: ReferencePicture | None
) -> SessionCost:
    """Carry out one session in fast time and count.

    Args:
        number: identity number of the claim.
        clip: who is seen.
        networks: the terminal's, on one interpreter thread each.
        policy: the policy to decide by.
        reference: what to compare with; made before counting begins.

    Raises:
        Malformed: if the number is none.
        CameraUnavailable: if the clip cannot be read.
        ClipInvalid: if a clip description cannot be used.
    """
    from device.app.clip import play_session
    from device.simulated.actor import open_actor

    watched = {name: _Watched(network) for name, network in _all(networks).items()}
    cameras: list[_WatchedCamera] = []
    begun: list[tuple[int, dict[str, tuple[int, int]], dict[str, int]]] = []

    def wire(camera: Camera) -> Camera:
        # The session proper begins with its camera; enrolling the reference came before.
        cameras.append(_WatchedCamera(camera))
        begun.append(
            (
                time.process_time_ns(),
                {name: item.network.usage for name, item in watched.items()},
                {name: item.ns for name, item in watched.items()},
            )
        )
        return cameras[-1]

    record = play_session(
        number,
        open_actor(clip, is_looped=False),
        networks=Networks(**watched),
        policy=policy,
        reference=reference,
        wire=wire,
    )
    ended_ns = time.process_time_ns()
    began_ns, usage, ns = begun[-1]
    costs = []
    invoke_ns = 0
    for name, item in watched.items():
        count, total_ns = (now - before for now, before in zip(item.network.usage, usage[name], strict=True))
        invoke_ns += total_ns
        if count:
            costs.append(
                NetworkCost(
                    name=name,
                    runs=count,
                    invoke_ms=round(total_ns / count / 1e6, 4),
                    around_ms=round((item.ns - ns[name] - total_ns) / count / 1e6, 4),
                )
            )
    return SessionCost(
        outcome=record.decision.outcome,
        frames=cameras[-1].frames,
        processor_s=round((ended_ns - began_ns - cameras[-1].ns) / 1e9, 4),
        invoke_s=round(invoke_ns / 1e9, 4),
        networks=tuple(costs),
        peak_resident_mb=round(_memory_mb("VmHWM"), 1),
    )


def _all(networks: Networks) -> dict[str, TfliteNetwork]:
    """Return the networks by field; every one comes from the one adapter there is."""
    found: dict[str, Network | None] = {name: getattr(networks, name) for name in networks.__dataclass_fields__}
    return {name: network for name, network in found.items() if isinstance(network, TfliteNetwork)}


def _memory_mb(what: str) -> float:
    """Return a line of the kernel's account of this process, in 2**20 bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _seconds_since_start() -> float:
    """Return the time since this process was started."""
    # Field 22 of stat is the start in clock ticks since boot; the name before it may hold spaces, its bracket ends it.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
