"""Golden vectors: every network is shown the picture it was shown when it was made, and must say again what it said then.

The manifest's digest finds a file that was changed; this finds what a digest cannot: another network with a manifest of its own under the
same name, and an interpreter or a board that computes wrongly.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import GoldenMismatch
from device.vision.inference import Network, Networks
from protocol.manifest import Task

TOLERANCES: Final[Mapping[Task, float]] = MappingProxyType(
    {"face_detection": 0.15, "face_landmarks": 0.05, "eyelids": 0.05, "features": 0.14, "texture": 0.03}
)
"""Largest relative difference of an output: the root mean square of the differences, over that of what was kept.

Source: about three times the most that ai-edge-litert 2.3.0 and tflite-runtime 2.14.0 were found to differ by on x86-64 (the golden
picture as it is and mirrored: boxes .049, scores .020, points .005, contour .008, iris .007, features .043 and .017); .14 is a cosine of
.99, which `docs/models.md` allows between runtimes; texture, 1e-4 apart, is allowed what int8 and float differ by. One runtime gave the
same numbers each time. On arm64 nothing was measured.
"""
_RUNS: Final = 5


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """One network that gives what was kept."""

    name: str
    sha256: str
    """Of the network's file."""
    largest_difference: float
    """Of its outputs, relative; see `TOLERANCES`. 0 where every bit is as it was."""
    tolerance: float
    runs: int
    median_ms: float
    """Wall time of one inference, on the thread that asked."""


def check_golden(networks: Networks) -> tuple[GoldenResult, ...]:
    """Compare every network with its golden vector and time it.

    Raises:
        GoldenMismatch: at the first network that differs, or has no golden vector; says what to do.
    """
    return tuple(_checked(network) for network in networks.each())


def _checked(network: Network) -> GoldenResult:
    manifest, kept = network.manifest, network.golden()
    if kept.network != network.digest:
        raise GoldenMismatch(
            f"network {manifest.name}: its golden vector was made with another file ({kept.network[:12]}, here is"
            f" {network.digest[:12]}); network and golden vector belong together, put the networks on anew"
        )
    durations_ns, given = _timed(network, kept.image)
    if set(given) != set(kept.outputs):
        raise GoldenMismatch(
            f"network {manifest.name}: outputs are {sorted(given)}, kept were {sorted(kept.outputs)}; put the networks on anew"
        )
    role, largest = max(
        ((role, _difference(values, kept.outputs[role])) for role, values in given.items()), key=lambda pair: pair[1]
    )
    tolerance = TOLERANCES[manifest.task]
    # Written so that what is not a number fails, too.
    if not largest <= tolerance:
        raise GoldenMismatch(
            f"network {manifest.name}: {role} differs by {largest:.1%} from what was kept, {tolerance:.0%} is the most; put the"
            f" networks on anew, then try the other runtime than {network.runtime}; if it stays, this board computes wrongly"
        )
    return GoldenResult(
        manifest.name, network.digest, largest, tolerance, _RUNS, round(statistics.median(durations_ns) / 1e6, 3)
    )


def _timed(network: Network, image: NDArray[np.uint8]) -> tuple[list[int], Mapping[str, NDArray[np.float32]]]:
    """Run a network several times; return how long each took and the last answer."""
    durations_ns: list[int] = []
    given: Mapping[str, NDArray[np.float32]] = {}
    for _ in range(_RUNS):
        begin_ns = time.perf_counter_ns()
        try:
            given = network.infer(image)
        except ValueError as error:
            raise GoldenMismatch(
                f"{error}: the golden vector is another network's; put the networks on anew"
            ) from error
        durations_ns.append(time.perf_counter_ns() - begin_ns)
    return durations_ns, given


def _difference(values: NDArray[np.float32], kept: NDArray[np.float32]) -> float:
    """Return the root mean square of the differences over that of what was kept; infinite where nothing can be compared."""
    if values.shape != kept.shape or not np.isfinite(values).all():
        return float("inf")
    size = float(np.sqrt(np.mean(np.square(kept, dtype=np.float64))))
    apart = float(np.sqrt(np.mean(np.square(values.astype(np.float64) - kept))))
    return apart / size if size > 0 else (0.0 if apart == 0 else float("inf"))
