"""A quality vector against the policy's minima: is it enough, what lacks most, which of two is better.

Vectors are components by name, 0..100, larger = better. A component that a vector does not have, or has as what is no number, is below
every minimum: what was not measured is not good enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_ABSENT = -1.0


def is_acceptable(components: Mapping[str, float], minimum: Mapping[str, float], *, rounding: float = 0.0) -> bool:
    """Say whether every component that has a minimum is there and reaches it; one equal to it does.

    Args:
        components: the vector.
        minimum: by component.
        rounding: by how much a component may have been rounded down.
    """
    return all(_measured(components, name) >= least - rounding for name, least in minimum.items())


def weakest(components: Mapping[str, float], minimum: Mapping[str, float]) -> str | None:
    """Return the component that reaches the least part of its minimum, the first one of equals; None where none is below.

    The part, not the points: bad light also lowers what says that something hides the face, whose minimum is high.
    """
    parts = {name: _measured(components, name) / max(minimum[name], 1.0) for name in _below(components, minimum)}
    return min(parts, key=lambda name: parts[name], default=None)


def unified_score(components: Mapping[str, float], minimum: Mapping[str, float]) -> float:
    """Return one number by which samples are ranked, larger = better.

    Where every minimum is reached: the mean over the components that have one of the way from minimum to 100, as 0..100. Otherwise the
    points of the one furthest below, a negative number, so that no unacceptable sample outranks an acceptable one.

    Source: over 253 acceptable frames of two rendered people, spoilt at random by up to two of the degradations of
    `models.tools.degradations`, rank correlation with the cosine to the person's undisturbed features is .76 for this mean, .70 for the
    smallest margin, .74 for the sum of logarithms; the best five of fifteen frames by it reach a cosine of .980, the first five .944.
    """
    if below := _below(components, minimum):
        return min(below.values())
    ways = [(components[name] - least) / (100.0 - least) for name, least in minimum.items() if least < 100.0]
    return 100.0 * sum(ways) / len(ways) if ways else 100.0


def _below(components: Mapping[str, float], minimum: Mapping[str, float]) -> dict[str, float]:
    """Return how far each component is below its minimum, as a negative number; only those that are."""
    margins = {name: _measured(components, name) - least for name, least in minimum.items()}
    return {name: margin for name, margin in margins.items() if margin < 0}


def _measured(components: Mapping[str, float], name: str) -> float:
    value = components.get(name, _ABSENT)
    return _ABSENT if math.isnan(value) else value
