"""How a bundle is fetched in pieces over a link that breaks: what to ask for, what an answer means, how fast, and when; pure.

Times are seconds of a monotonic clock that the caller hands in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Final

from protocol.bundle import Bundle, KeyOf, Place, check_place, read_bundle
from protocol.desired import BUNDLE_PATH, DesiredBundle, DesiredState
from protocol.errors import Malformed, ProtocolError, SignatureInvalid

MOST_HEAD_BYTES: Final = 2 * 1024 * 1024
"""A manifest of the most files there may be, signed, has less; a head that is not whole by then is none."""
_RANGE = re.compile(r"bytes (\d{1,12})-(\d{1,12})/(\d{1,12})")
_CUT = "cut_short"
_LINE_BYTES = 32
"""Before so many it cannot be told whether it is a bundle at all."""


@dataclass(frozen=True, slots=True)
class Take:
    """What the answer brings is written from this byte on; what is there beyond is thrown away."""

    offset: int
    length: int
    """Bytes that follow."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing to be had now."""

    why: str
    """A word for `protocol.desired.ComingBundle`."""
    is_anew: bool = False
    """Whether what is there is thrown away: it is of another file."""


def path_of(want: DesiredBundle) -> str:
    """Return the path behind the fleet's door."""
    return f"{BUNDLE_PATH}/{want.bundle_id}"


def request_headers(have: int) -> dict[str, str]:
    """Return what is asked with: for all of it, or from a byte on. No other form than the bytes themselves has ranges that fit."""
    headers = {"Accept-Encoding": "identity"}
    return {**headers, "Range": f"bytes={have}-"} if have else headers


def judge_answer(status: int, headers: Mapping[str, str], *, have: int, size: int) -> Take | Later:
    """Return what an answer to `request_headers(have)` means. Source: RFC 9110, sections 14.4 and 15.3.7.

    Args:
        status: of the answer.
        headers: by lower-case name.
        have: bytes that are there.
        size: of the whole bundle.
    """
    if status == HTTPStatus.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        if found is None or int(found[1]) != have or int(found[2]) >= int(found[3]):
            return Later("door_answer", is_anew=True)
        if int(found[3]) != size:
            return Later("other_size", is_anew=True)
        return Take(have, int(found[2]) + 1 - have)
    if status == HTTPStatus.OK:
        # A door that does not know ranges gives all of it again.
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) != size:
            return Later("other_size", is_anew=True)
        return Take(0, size)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return Later("other_size", is_anew=True)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return Later("not_there")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Later("not_allowed")
    # Nobody is followed to another address: what it would be asked there is nobody's business.
    return Later("door_answer")


def check_head(head: bytes, want: DesiredBundle, place: Place, *, key_of: KeyOf) -> Bundle | None:
    """Check the beginning of a bundle as soon as it is there, before the rest of it is paid for.

    Args:
        head: what there is of it from its first byte on, `MOST_HEAD_BYTES` at most.
        want: what it has to be.
        place: this terminal.
        key_of: gives the release key of a key id, or None.

    Returns:
        The bundle; None while too little of it is there.

    Raises:
        ProtocolError: if it is not the one that is wanted, or not to be taken here; `why_refused` gives the word.
    """
    if len(head) < min(want.size, _LINE_BYTES):
        return None
    try:
        bundle = read_bundle(BytesIO(head), key_of=key_of)
    except Malformed as error:
        if error.code == _CUT and len(head) < min(want.size, MOST_HEAD_BYTES):
            return None
        raise
    check_wanted(bundle, want, place)
    return bundle


def check_wanted(bundle: Bundle, want: DesiredBundle, place: Place) -> None:
    """Check that a bundle whose signature holds is the one that is wanted, and may run here.

    Raises:
        ProtocolError: if not.
    """
    if bundle.bundle_id != want.bundle_id:
        raise Malformed("bundle: not the one that was asked for", code="other_bundle")
    if (bundle.manifest.kind, bundle.manifest.number, bundle.size) != (want.kind, want.number, want.size):
        raise Malformed("bundle: the office says something else of it than it says itself", code="other_bundle")
    check_place(bundle.manifest, place)


def place_for(want: DesiredState, place: Place) -> Place:
    """Return the place as it will be: what else is wanted runs first where a bundle needs it."""
    running = dict(place.running)
    for each in want.bundles:
        running[each.kind] = max(each.number, running.get(each.kind, 0))
    return Place(place.machine, place.python, running, place.floors, place.now)


def why_refused(error: ProtocolError) -> str:
    """Return in one word why a bundle is not taken."""
    return error.code or ("signature" if isinstance(error, SignatureInvalid) else "not_a_bundle")


class Bucket:
    """Spreads bytes over time: never more than `per_s` in a second, and a second's worth at once after a pause.

    Args:
        per_s: bytes a second.
        now_s: monotonic.
    """

    def __init__(self, per_s: int, now_s: float) -> None:
        self._per_s = per_s
        self._left = float(per_s)
        self._at_s = now_s

    def take(self, count: int, now_s: float) -> float:
        """Note bytes that came; return the seconds to wait before more are read."""
        self._left = min(float(self._per_s), self._left + (now_s - self._at_s) * self._per_s) - count
        self._at_s = now_s
        return max(0.0, -self._left / self._per_s)
