"""Which bytes of a bundle a Range header asks for."""

from __future__ import annotations

import pytest

from fleet.api.bundle_files import Unsatisfiable, one_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=99-", (99, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        # No single range of bytes: all of it, as RFC 9110 allows.
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=٣-", None),
        ("bytes=9999999999999999999-", None),
    ],
)
def test_one_range_or_all(header: str | None, expected: tuple[int, int] | None) -> None:
    assert one_range(header, 100) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=500-600", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_a_range_behind_the_end_is_none(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        one_range(header, size)
