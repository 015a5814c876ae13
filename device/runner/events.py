"""Terminal events as links of the chain. What cannot be stored is logged and nothing else: an event never stops anything."""

from __future__ import annotations

import logging
import re

from device.ports import Clock
from device.runner.chain import Chain, LinkNotStored
from device.runner.records import Head, Identity
from protocol.events import EventKind, ProposedReference, TerminalEvent

logger = logging.getLogger(__name__)

_QUIET_NS = 60_000_000_000
"""The same event about the same thing is noted once in so long: a flapping part must not fill the outbox."""
_COUNTERS = frozenset({"attempts", "seconds", "records_left", "texts"})
"""Details that grow while the same thing goes on: they make no other event of it."""


class EventLog:
    """Notes events. Used by the loop's thread."""

    def __init__(self, *, chain: Chain, identity: Identity, clock: Clock) -> None:
        self._chain = chain
        self._identity = identity
        self._clock = clock
        self._last_ns: dict[tuple[EventKind, str], int] = {}

    def note(self, kind: EventKind, /, *, operator: str | None = None, **detail: str | int) -> bool:
        """Store an event; return whether it was, because it was not noted a moment ago and the disk took it.

        Args:
            kind: what happened.
            operator: who was signed in.
            detail: codes and numbers; nothing about a person.
        """
        texts = {name: str(value) for name, value in detail.items()}
        now = self._clock.monotonic_ns()
        about = sorted((name, value) for name, value in texts.items() if name not in _COUNTERS)
        key = (kind, f"{operator}{about}")
        last = self._last_ns.get(key)
        if last is not None and now - last < _QUIET_NS:
            return False

        if not self._store(kind, operator=operator, detail=texts):
            return False
        # What did not reach the disk is not known yet, and is noted when it happens again.
        self._last_ns = {known: at for known, at in self._last_ns.items() if now - at < _QUIET_NS} | {key: now}
        return True

    def propose(self, proposal: ProposedReference) -> bool:
        """Store a reference for a network that is not in use yet; return whether the disk took it."""
        return self._store(EventKind.REFERENCE_PROPOSED, proposal=proposal)

    def _store(
        self,
        kind: EventKind,
        *,
        operator: str | None = None,
        detail: dict[str, str] | None = None,
        proposal: ProposedReference | None = None,
    ) -> bool:
        def build(head: Head) -> TerminalEvent:
            return TerminalEvent(
                **head,
                kind=kind,
                at=self._clock.now(),
                operator=operator,
                detail=detail or {},
                proposal=proposal,
                software=self._identity.software,
                simulated=self._identity.is_simulated,
            )

        try:
            stored = self._chain.append(build).stored
        except LinkNotStored as error:
            logger.error("event not stored kind=%s why=%s", kind, error)  # noqa: TRY400 - the message says all, a trace nothing
            return False
        logger.info("event stored kind=%s counter=%d", kind, stored.counter)
        return True

    def note_stick(
        self,
        *,
        exported: int | None = None,
        imported: int | None = None,
        problem: str | None = None,
        operator: str | None = None,
    ) -> None:
        """Note that the work with a stick came to its end.

        Args:
            exported: records that are on it; None where nothing was to go out.
            imported: records it confirmed; None where nothing was to come in.
            problem: what was not taken of what came in.
            operator: who was signed in.
        """
        if exported is not None:
            self.note(EventKind.STICK_EXPORTED, operator=operator, records=exported)
        if imported is not None:
            why = {} if problem is None else {"why": problem}
            self.note(EventKind.STICK_IMPORTED, operator=operator, messages=imported, **why)

    def note_stick_failed(self, problem: str | None, *, operator: str | None = None) -> None:
        """Note that the work with a stick broke off, and why."""
        self.note(EventKind.STICK_FAILED, operator=operator, why=problem or "unknown")

    def note_missing_line(self, pack: str, line: str) -> None:
        """Note that a voice pack lacks a line, or that the whole pack cannot be used (`*`)."""
        self.note(EventKind.VOICE_LINE_MISSING, pack=_code(pack), line=_code(line))


def _code(text: str) -> str:
    """Return a name as a detail of an event carries it: a folder may be called anything."""
    return re.sub(r"[^A-Za-z0-9_.:+-]", "_", text)[:64]
