"""How a check is made: numbers rounded to what a person reads. Apart from `judging`, as the uplink makes some and measures no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from protocol.commissioning import CommissioningCheck, Part

Facts = Mapping[str, float | str]
Status = Literal["passed", "failed", "skipped"]


def check(
    part: Part, status: Status, reason: str, facts: Facts | None = None, *, is_required: bool = True
) -> CommissioningCheck:
    """Return a check; numbers are rounded to what a person reads."""
    rounded = {name: value if isinstance(value, str) else _rounded(value) for name, value in (facts or {}).items()}
    return CommissioningCheck(part=part, status=status, is_required=is_required, reason=reason, facts=rounded)


def error_check(part: Part, error: Exception) -> CommissioningCheck:
    """Return what an error says of a part."""
    return check(part, "failed", "error", {"what": str(error)[:200]})


def _rounded(value: float) -> float:
    return float(f"{value:.3g}") if abs(value) < 1000 else float(round(value))
