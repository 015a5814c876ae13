"""Files of bundles over HTTPS: whole, or one range, so that a terminal on a bad link goes on where it was cut off.

Source: RFC 9110, section 14 (ranges), 13.1.5 (If-Range), 8.8.3 (entity tags). The tag is the bundle's id: what has it is the same bytes.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from fastapi import Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from fleet.api.problems import Refusal
from fleet.updates.bundles import bundle_file

_CHUNK_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Unsatisfiable(Exception):
    """A range of which the file has nothing."""


def one_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last that a Range header asks for; None for all of it.

    What is no single range of bytes is passed over, as a server may.

    Args:
        header: as it came; None where there is none.
        size: of the file in bytes.

    Raises:
        Unsatisfiable: if it begins behind the end, or asks for the last 0 bytes.
    """
    found = None if header is None else _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        length = int(found[2])
        if not length:
            raise Unsatisfiable
        return max(0, size - length), size
    first = int(found[1])
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return first, min(int(found[2]) + 1, size) if found[2] else size


class Downloads:
    """Gives bundles to whoever knows their digest.

    Args:
        folder: where they lie.
        most: downloads of one address at a time.
    """

    def __init__(self, folder: Path, *, most: int) -> None:
        self._folder = folder
        self._most = most
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def answer(self, address: str, bundle_id: str, headers: Mapping[str, str]) -> Response | None:
        """Return the answer to a question for a bundle; None if there is none of this id.

        Args:
            address: who asks.
            bundle_id: which one.
            headers: of the question.

        Raises:
            Refusal: if this address has too many open, or asks for a range that the file does not have.
        """
        path = bundle_file(self._folder, bundle_id)
        if path is None:
            return None
        try:
            file = path.open("rb")
        except OSError:
            return None
        size = os.fstat(file.fileno()).st_size
        tag = f'"{bundle_id}"'
        # Of another file than it has, a terminal gets all instead of a part that does not fit.
        wanted = headers.get("range") if headers.get("if-range", tag) == tag else None
        try:
            found = one_range(wanted, size)
            self._take(address)
        except Unsatisfiable as error:
            file.close()
            raise Refusal(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                "range",
                "the bundle ends before this range",
                headers={"Content-Range": f"bytes */{size}"},
            ) from error
        except Refusal:
            file.close()
            raise
        first, end = found or (0, size)
        given = {"ETag": tag, "Accept-Ranges": "bytes", "Content-Length": str(end - first)}
        if found is not None:
            given["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        status = HTTPStatus.OK if found is None else HTTPStatus.PARTIAL_CONTENT
        return _Download(file, first, end, status=status, headers=given, done=lambda: self._give_back(address))

    def _take(self, address: str) -> None:
        with self._lock:
            if self._open[address] >= self._most:
                raise Refusal(
                    429, "too_many_downloads", "too many downloads of this address", headers={"Retry-After": "30"}
                )
            self._open[address] += 1

    def _give_back(self, address: str) -> None:
        with self._lock:
            self._open[address] -= 1
            if self._open[address] <= 0:
                del self._open[address]


class _Download(StreamingResponse):
    """A part of a file; whether it was sent or the other end has gone, its place is free afterwards."""

    def __init__(
        self,
        file: BinaryIO,
        first: int,
        end: int,
        *,
        status: int,
        headers: Mapping[str, str],
        done: Callable[[], None],
    ) -> None:
        super().__init__(
            _chunks(file, first, end), status_code=status, headers=headers, media_type="application/octet-stream"
        )
        self._file = file
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
            self._done()


def _chunks(file: BinaryIO, first: int, end: int) -> Iterator[bytes]:
    file.seek(first)
    left = end - first
    while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk
