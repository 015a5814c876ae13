"""A release ends the prison term before it: feeds report the two apart, months from each other (R8-9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from protocol.rules.life import LifeEvent, LifeEventKind


def ended_by_releases(events: Iterable[LifeEvent]) -> list[LifeEvent]:
    """Return events, with each prison term whose end nobody told ended by the first release after it began."""
    found = list(events)
    releases = sorted(event.since for event in found if event.kind is LifeEventKind.RELEASE)
    return [
        replace(event, until=next((day for day in releases if day > event.since), None))
        if event.kind is LifeEventKind.SENTENCE and event.until is None
        else event
        for event in found
    ]
