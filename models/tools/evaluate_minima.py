"""Quality minima: how many pictures of real faces fall short of the shipped policy's, component by component.

It sets no minimum: those come from rendered people (`evaluate_quality`). It says whether they shut out people whose pictures are good.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device.vision.inference import Networks
from models.tools.evaluate_index import read_picture
from models.tools.evaluate_stills import StillObserver, names_of, padded
from models.tools.evaluate_verification import Paths
from models.tools.metrics import wilson
from protocol.policy import default_policy
from protocol.quality import is_acceptable


def evaluate_minima(paths: Sequence[Path], networks: Networks, *, track: Paths = iter) -> dict[str, Any]:
    """Return how many pictures are below each minimum of the standard path, and below any.

    Args:
        paths: tight crops of faces; a black border is added, so that nothing is said about size, place and border.
        networks: the terminal's.
        track: shows progress.
    """
    observer, policy = StillObserver(networks), default_policy()
    minimum = policy.quality.minimum
    found: list[dict[str, float]] = []
    for path in track(paths):
        picture = read_picture(path)
        subject = None if picture is None else observer.subject(padded(picture))
        if subject is not None and subject.quality is not None:
            found.append(subject.quality.components())
    below = {name: sum(components[name] < least for components in found) for name, least in minimum.items()}
    short = sum(not is_acceptable(components, minimum) for components in found)
    used = names_of(networks)
    return {
        "pictures": len(paths),
        "failures_to_acquire": len(paths) - len(found),
        "below_any": short,
        "below_any_interval": wilson(short, len(found)),
        "components": {
            name: {
                "minimum": minimum[name],
                "below": count,
                "rate": count / len(found) if found else None,
                "interval": wilson(count, len(found)),
            }
            for name, count in below.items()
        },
        "policy": policy.policy_version,
        "networks": used.digests,
        "runtime": used.runtime,
        "method": "of pictures in which a face was found; single pictures, where a terminal waits for better ones; 95 % Wilson intervals",
    }
