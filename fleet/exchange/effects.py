"""Brings about what stands: ties rows to people, makes and withdraws life events and silent acts, and projects who changed.

Everything here is worked out from what stands, so that it can be done again at any time and gives the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo

from sqlalchemy import Connection

from fleet.clock import day_of
from fleet.exchange.checking import folded_name
from fleet.exchange.silent import Held, Scene, certifying_scenes
from fleet.keys import FieldCipher, FleetKeys
from fleet.status.doubts import keep_doubts, reported
from fleet.status.projection import project
from fleet.store import feed_effects
from fleet.store.acts import NewAct, add_acts
from fleet.store.areas import parents_above
from fleet.store.database import Database
from fleet.store.feed_effects import SilentAct
from fleet.store.feeds import feeds, judge_rows
from fleet.store.life_events import life_events_of
from fleet.store.packs import shelf_of
from fleet.store.subjects import lock_subjects
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import SIGNS_OF_LIFE
from protocol.rules.obligations import Entitled
from protocol.rules.shelf import ancestors_in

_CHUNK = 5000
"""Subjects that are settled by one set of statements."""
_NOON = time(12)
"""A scene has a day and no hour; noon is on that day in every zone in which the agency may be."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling came to."""

    certified: int
    """Silent acts that were made."""
    withdrawn: int
    """Silent acts that were taken back."""

    def __add__(self, other: Settled) -> Settled:
        return Settled(self.certified + other.certified, self.withdrawn + other.withdrawn)


def name_digest(cipher: FieldCipher, name: str, claim_token: str) -> bytes:
    """Return what is kept of a name in a row: 32 bytes, the same for every way of writing it, of this person only."""
    return cipher.digest(folded_name(name), subject_id=claim_token, field_name="feed_name")


def apply_rows(
    connection: Connection,
    keys: FleetKeys,
    feed: str,
    row_keys: Sequence[str],
    *,
    confirms: bool,
    zone: tzinfo,
    now: datetime,
    also: Collection[str] = (),
) -> Settled:
    """Bring about what these rows say, or do not say any more, in the transaction in which they changed.

    Args:
        connection: where.
        keys: the fleet's, for names.
        feed: whose rows.
        row_keys: which of them.
        confirms: whether the feed's word is a confirmation.
        zone: where a day ends.
        now: when.
        also: more subjects whose life events have changed in this transaction, or who have another name than a row.
    """
    # Subjects before what hangs on them: of two feeds about one person the second sees what the first did.
    named = feed_effects.subjects_of_rows(connection, row_keys)
    lock_subjects(connection, sorted(named))
    judge_rows(connection, row_keys)
    states: dict[str, bool] = {}
    for check in feed_effects.names_to_check(connection, row_keys):
        name = keys.cipher.decrypt(check.name_sealed, subject_id=check.subject_id, field_name="name")
        states[check.row_key] = name_digest(keys.cipher, name, check.claim_token) == check.name_hash
    feed_effects.set_name_states(connection, states)
    changed = feed_effects.sync_events(connection, feed, row_keys, confirms=confirms, now=now)
    touched = changed.union(also)
    # A row with another name, or one that has no effect, says something of people whose life events stay as they are.
    keep_doubts(connection, sorted(named - touched), zone=zone)
    return settle(connection, sorted(touched), zone=zone, now=now)


def meet(connection: Connection, keys: FleetKeys, *, zone: tzinfo, now: datetime) -> Settled:
    """Bring about what feeds said of people who have become known since, or have another name now.

    To be called where subjects are imported, in the same transaction.
    """
    total = Settled(0, 0)
    met = feed_effects.meet_subjects(connection)
    if not met:
        return total
    confirming = {feed.name: bool(feed.definition["confirms"]) for feed in feeds(connection)}
    for feed, row_keys in sorted(met.items()):
        total += apply_rows(connection, keys, feed, row_keys, confirms=confirming[feed], zone=zone, now=now)
    return total


def settle(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo, now: datetime) -> Settled:
    """Work out the silent acts and the contradictions of these subjects anew and project whose acts changed.

    To be called in the same transaction by whoever adds or withdraws a life event, whatever its source.
    """
    total = Settled(0, 0)
    ordered = sorted(set(subject_ids))
    if ordered:
        lock_subjects(connection, ordered)
    for start in range(0, len(ordered), _CHUNK):
        total += _settle(connection, ordered[start : start + _CHUNK], zone=zone, now=now)
    return total


def settle_all(database: Database, *, zone: tzinfo, now: datetime) -> Settled:
    """Work out the silent acts of everybody with a sign of life anew: after a rule pack came into force or ended.

    Raises:
        DatabaseUnavailable: as any transaction; it can be done again.
    """
    total = Settled(0, 0)
    with database.begin() as connection:
        chunks = list(feed_effects.subjects_with_reports(connection, SIGNS_OF_LIFE, chunk=_CHUNK))
    for chunk in chunks:
        with database.begin() as connection:
            total += settle(connection, chunk, zone=zone, now=now)
    return total


def _settle(connection: Connection, subject_ids: Sequence[str], *, zone: tzinfo, now: datetime) -> Settled:
    today = day_of(now, zone)
    events = life_events_of(connection, subject_ids)
    held = _held(connection, subject_ids, today)
    acts = feed_effects.silent_acts_of(connection, subject_ids)
    new: list[NewAct] = []
    gone: list[str] = []
    for subject_id in subject_ids:
        wanted = certifying_scenes(held.get(subject_id, ()), reported(events.get(subject_id, ()), zone))
        there = acts.get(subject_id, [])
        said = {(scene.source, scene.source_id) for scene in wanted}
        gone += [act.act_id for act in there if act.is_standing and (act.source, _scene_of(act)) not in said]
        new += _missing(subject_id, wanted, there, zone)
    changed = feed_effects.withdraw_acts(connection, gone, now=now) if gone else set[str]()
    changed |= add_acts(connection, new, now=now)
    project(connection, sorted(changed), zone=zone, today=today)
    keep_doubts(connection, sorted(set(subject_ids) - changed), zone=zone)
    return Settled(len(new), len(gone))


def _missing(subject_id: str, wanted: Iterable[Scene], there: Sequence[SilentAct], zone: tzinfo) -> Iterator[NewAct]:
    """Give the acts of scenes that have none standing; one that was withdrawn stays so, and another takes its place."""
    for scene in wanted:
        own = [act for act in there if (act.source, _scene_of(act)) == (scene.source, scene.source_id)]
        if any(act.is_standing for act in own):
            continue
        acted_at = datetime.combine(scene.day, _NOON, zone)
        source_id = f"{scene.source_id}/{len(own) + 1}"
        yield NewAct(subject_id, ActKind.SILENT, Channel.DATA, acted_at, scene.source, source_id)


def _scene_of(act: SilentAct) -> str:
    return act.source_id.rpartition("/")[0]


def _held(connection: Connection, subject_ids: Sequence[str], today: date) -> dict[str, list[Held]]:
    benefits = feed_effects.benefits_held(connection, subject_ids)
    above = ancestors_in(parents_above(connection, {each.region for each in benefits}))
    shelf = shelf_of(connection)
    found: dict[str, list[Held]] = {}
    for each in benefits:
        packs = shelf.packs_for(each.scheme, each.category, above(each.region), today)
        entitled = Entitled(each.started, each.birth_date)
        found.setdefault(each.subject_id, []).extend(Held(pack, entitled) for pack in packs)
    return found
