"""Fetches the bundles that the office wants, in a thread of its own: records never wait for them."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from device.errors import LinkDown
from device.ports import DesiredStore
from device.settings import Broker, Settings
from device.updates.fetching import (
    MOST_HEAD_BYTES,
    Bucket,
    Later,
    check_head,
    judge_answer,
    path_of,
    place_for,
    request_headers,
    why_refused,
)
from device.updates.in_force import lacking
from device.updates.marks import Fetch, Marks
from device.updates.place import local_hour
from device.updates.reporting import Tries
from device.updates.shelf import Shelf
from device.uplink.flow import full_jitter_s
from protocol.bundle import KeyOf, Place
from protocol.desired import DesiredBundle, DesiredState
from protocol.errors import Expired, Malformed, ProtocolError, SignatureInvalid
from protocol.times import DeviceTime, is_within_hours
from protocol.trust import certificates_in, client_context

logger = logging.getLogger(__name__)

_PIECE_BYTES = 16 * 1024
_LOOK_S = 5.0
"""So often it is looked whether something is wanted, or the hour has come."""
_TIMEOUT_S = 30.0
"""A door that gives nothing for so long is left; what came is kept."""
_IS_FINAL = (Expired, SignatureInvalid)
_FINAL_CODES = frozenset({"other_machine", "other_python", "too_old", "needs_newer", "other_bundle"})
"""What another try would not change; everything else may be the door's or the line's fault."""


class Answer(Protocol):
    """What the door gives."""

    @property
    def status(self) -> int:
        """Return the status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name."""

    def read(self, count: int) -> bytes:
        """Return some bytes; none at the end. Raises `LinkDown`."""


class Door(Protocol):
    """Where bundles are fetched."""

    def get(self, url: str, path: str, headers: Mapping[str, str]) -> AbstractContextManager[Answer]:
        """Give an answer. Raises `LinkDown`."""


class HttpsDoor:
    """The fleet's door, with the root and the certificate that the broker's connection has.

    Args:
        broker: names the files.
        now: what the clock says.
    """

    def __init__(self, broker: Broker, now: Callable[[], datetime]) -> None:
        self._broker = broker
        self._now = now

    @contextmanager
    def get(self, url: str, path: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """Ask; see `Door`."""
        where = urlsplit(url)
        if self._broker.tls_ca is None:
            raise LinkDown("no root certificate: broker.tls_ca is not set")
        try:
            context = client_context(certificates_in(self._broker.tls_ca.read_text()), now=self._now())
            if self._broker.tls_certificate is not None and self._broker.tls_key is not None:
                context.load_cert_chain(self._broker.tls_certificate, self._broker.tls_key.path)
            connection = http.client.HTTPSConnection(
                where.hostname or "", where.port or 443, timeout=_TIMEOUT_S, context=context
            )
        except (OSError, ValueError, Malformed) as error:
            raise LinkDown(f"certificates: {error}") from error
        try:
            try:
                connection.request("GET", path, headers=dict(headers))
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise LinkDown(f"no answer: {error}") from error
            yield _HttpAnswer(answer)
        finally:
            connection.close()


class _HttpAnswer:
    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}

    def read(self, count: int) -> bytes:
        try:
            return self._answer.read1(count)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise LinkDown(f"broken off: {error}") from error


@dataclass(slots=True)
class _Try:
    """How it stands with one bundle."""

    fetch: Fetch
    attempts: int = 0
    due_s: float = 0.0
    desired_number: int = 0


class Fetcher:
    """Fetches one bundle at a time. `step` does it; `start` has a thread do it for ever.

    Args:
        settings: in force: limits, hours, where things lie.
        desired: what the office wants.
        shelf: where bundles lie.
        door: where they come from.
        place: this terminal.
        now: the moment.
        key_of: gives the release key of a key id, or None.
        fraction: uniform random number in [0, 1).
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        desired: DesiredStore,
        shelf: Shelf,
        door: Door,
        *,
        place: Callable[[], Place],
        now: Callable[[], DeviceTime],
        key_of: KeyOf,
        fraction: Callable[[], float],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._desired = desired
        self._shelf = shelf
        self._door = door
        self._place = place
        self._now = now
        self._key_of = key_of
        self._fraction = fraction
        self._clock_s = clock_s
        self._tries: dict[str, _Try] = {}
        self._marks = Marks(settings.updates_dir)
        self._said: dict[str, Fetch] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="bundles", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End; what came so far is kept."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def fetches(self) -> dict[str, Fetch]:
        """Return how it stands with each bundle; from any thread."""
        return {bundle_id: found.fetch for bundle_id, found in list(self._tries.items())}

    def step(self) -> float:
        """Do what can be done now; return after how many seconds to look again."""
        wait_s = self._step()
        self._say()
        return wait_s

    def _step(self) -> float:
        desired = self._desired.current()
        if desired is None:
            return _LOOK_S
        tries = Tries.read(self._settings)
        wants = [want for want in lacking(self._settings, desired) if not tries.is_spent(want)]
        with suppress(OSError):
            self._shelf.clear(wants)
        self._tries = {want.bundle_id: self._try_of(want, desired) for want in wants}
        wait_s = _LOOK_S
        for want in wants:
            found = self._tries[want.bundle_id]
            if self._shelf.is_whole(want):
                continue
            why = self._why_not_now(want, desired)
            if why is not None:
                found.fetch = Fetch("waiting", why)
                continue
            left_s = found.due_s - self._clock_s()
            if left_s > 0:
                wait_s = min(wait_s, left_s)
                continue
            self._fetch(want, desired, found)
            return 0.0
        return wait_s

    def _say(self) -> None:
        """Say how it stands for whoever asks at the terminal, where that is something else than before."""
        found = self.fetches()
        if found != self._said:
            self._marks.say_fetches(found)
            self._said = found

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                wait_s = self.step()
            except Exception:
                # Top of a thread: records go on, and it is tried again.
                logger.exception("bundles cannot be fetched")
                wait_s = self._settings.updates.retry_cap_s
            self._stop.wait(wait_s)

    def _try_of(self, want: DesiredBundle, desired: DesiredState) -> _Try:
        found = self._tries.get(want.bundle_id)
        if found is None or found.desired_number != desired.number:
            return _Try(Fetch("waiting"), desired_number=desired.number)
        return found

    def _why_not_now(self, want: DesiredBundle, desired: DesiredState) -> str | None:
        updates = self._settings.updates
        if desired.door is None:
            return "stick"
        if not is_within_hours(updates.from_hour, updates.until_hour, local_hour(self._now())):
            return "hour"
        try:
            return None if self._shelf.has_room(want) else "room"
        except OSError:
            return "room"

    def _fetch(self, want: DesiredBundle, desired: DesiredState, found: _Try) -> None:
        found.fetch = Fetch("fetching")
        self._say()
        before = self._shelf.received(want)
        try:
            later = self._take(want, desired, place_for(desired, self._place()))
        except LinkDown as error:
            logger.info("bundle not fetched kind=%s why=%s", want.kind, error)
            later = Later("link")
        except ProtocolError as error:
            why = why_refused(error)
            self._drop(want)
            if isinstance(error, _IS_FINAL) or error.code in _FINAL_CODES:
                logger.warning("bundle refused kind=%s number=%d why=%s", want.kind, want.number, why)
                found.fetch = Fetch("refused", why)
                # A key may come, or what runs may change: once in a while it is looked at the head again.
                found.due_s = self._clock_s() + self._settings.updates.retry_cap_s
                return
            later = Later(why)
        except OSError as error:
            logger.warning("bundle cannot be kept kind=%s why=%s", want.kind, error.strerror)
            later = Later("disk")
        if later is None:
            return
        if later.is_anew:
            self._drop(want)
        elif self._shelf.received(want) > before:
            # It gets on, if in pieces: the wait is that of a first try.
            found.attempts = 0
        updates = self._settings.updates
        wait_s = full_jitter_s(
            found.attempts, base_s=updates.retry_base_s, cap_s=updates.retry_cap_s, fraction=self._fraction()
        )
        found.attempts += 1
        # However lucky the draw, a door that answers at once with nothing of use is not asked all the time.
        found.due_s = self._clock_s() + max(wait_s, updates.retry_base_s / 10)
        found.fetch = Fetch("waiting", later.why)

    def _take(self, want: DesiredBundle, desired: DesiredState, place: Place) -> Later | None:
        """Take what the door gives; None once the bundle is whole."""
        part = self._shelf.part(want)
        have = part.stat().st_size if part.exists() else 0
        if have > want.size:
            part.unlink()
            have = 0
        if have < want.size:
            with self._door.get(desired.door or "", path_of(want), request_headers(have)) as answer:
                judged = judge_answer(answer.status, answer.headers, have=have, size=want.size)
                if isinstance(judged, Later):
                    return judged
                later = self._write(answer, part, want, place, offset=judged.offset)
            if later is not None:
                return later
        self._shelf.finish(part, want, place)
        logger.info("bundle here kind=%s number=%d", want.kind, want.number)
        return None

    def _write(self, answer: Answer, part: Path, want: DesiredBundle, place: Place, *, offset: int) -> Later | None:
        bucket = Bucket(self._settings.updates.bytes_per_s, self._clock_s())
        with part.open("r+b" if part.exists() else "x+b") as file:
            file.truncate(offset)
            head = check_head(file.read(MOST_HEAD_BYTES), want, place, key_of=self._key_of)
            file.seek(offset)
            have = offset
            while piece := answer.read(_PIECE_BYTES):
                have += len(piece)
                if have > want.size:
                    return Later("too_long", is_anew=True)
                file.write(piece)
                if head is None:
                    file.seek(0)
                    head = check_head(file.read(MOST_HEAD_BYTES), want, place, key_of=self._key_of)
                    file.seek(have)
                if self._stop.wait(bucket.take(len(piece), self._clock_s())):
                    return Later("link")
        return None if have == want.size else Later("link")

    def _drop(self, want: DesiredBundle) -> None:
        with suppress(OSError):
            self._shelf.part(want).unlink(missing_ok=True)
