"""Figures as text and tables of a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def rate_text(rate: float | None, interval: Sequence[float] | None) -> str:
    """Return a rate in percent with its interval."""
    if rate is None:
        return "–"
    return f"{percent(rate)} %" if interval is None else f"{percent(rate)} % ({span_text(interval)})"


def area_text(area: float | None, interval: Sequence[float] | None) -> str:
    """Return an area under a curve with its interval."""
    if area is None or interval is None:
        return "–"
    return f"{area:.3f} ({interval[0]:.2f} to {interval[1]:.2f})"


def span_text(interval: Sequence[float]) -> str:
    """Return an interval in percent."""
    return f"{percent(interval[0])} to {percent(interval[1])} %"


def percent(share: float) -> str:
    """Return a share in percent, with two digits that count where it is small."""
    value = 100 * share
    return f"{value:.1f}" if value == 0 or value >= 1 else f"{value:.2g}"


def score_text(value: float | None) -> str:
    """Return a score or a threshold."""
    return "–" if value is None else f"{value:.3f}"


def plain(value: float | None) -> str:
    """Return a number with three digits that count."""
    return "–" if value is None else f"{value:.3g}"


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts by name, as they come."""
    return ", ".join(f"{what.replace('_', ' ')} {count}" for what, count in counts.items()) or "none"


def size_text(pixels: str) -> str:
    """Return a range of face sizes."""
    return "all sizes" if pixels == "all" else f"{pixels.replace('-inf', ' and more').replace('-', ' to ')} pixels"
