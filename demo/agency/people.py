"""The people of the made-up agency: who they are, what they are paid, and when they were certified last.

When somebody came last is looked for by the rules themselves, so that there are people in every state on every day of the year.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from random import Random
from typing import Any

import numpy as np

from demo.agency.names import area_name, person_name, unit_name
from demo.agency.world import MODEL, ZONE, World
from fleet.store.name_index import tokens_of
from protocol.documents import DocumentKind, IdentityDocument, check_digit, claim_token
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import CertificationState, Entitled, obligation, state_on, strictest
from protocol.rules.pack import RulePack
from protocol.rules.shelf import Shelf
from protocol.shipped_packs import SHIPPED, default_pack, shipped_pack

CITIES = {"14": "1401", "62": "6201", "33": "3305", "44": "4401", "13": "1301"}
"""Provinces and their city. The codes are those that the shipped packs are for; the names are made up."""
RECENT_DAYS = 60
"""Days of which there are records."""
_PEOPLE_OF_COMMUNITY = 500
_REGION = "999999"
"""Area code that no number of a living person begins with."""
_OLDEST, _YOUNGEST = 104, 55
_LISTED_DAYS = 900
_SCHEMES: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "14": (("enterprise_pension", ("retired",)), ("resident_pension", ("retired",))),
    "62": (
        ("resident_pension", ("retired",)),
        ("work_injury", ("disability_allowance", "living_care", "dependant")),
    ),
    "33": (("enterprise_pension", ("retired",)), ("land_expropriated", ("retired",))),
    "44": (("enterprise_pension", ("retired",)), ("converted_farmer_pension", ("retired",))),
    "13": (("resident_pension", ("retired",)), ("government_pension", ("retired", "resigned"))),
}
"""Schemes of each province with the categories of their benefits."""
_BOTH_SHARE, _PHONE_SHARE, _UNIT_SHARE, _REFERENCE_SHARE = 0.1, 0.85, 0.4, 0.93
_WANTED: tuple[tuple[str, float], ...] = (
    ("recent", 0.27),
    ("due", 0.07),
    ("expiring", 0.06),
    ("overdue", 0.05),
    ("stop", 0.008),
    ("never_certified", 0.035),
    ("certified", 0.507),
)
"""What people are to be, with shares; `recent` has a record of the last days, `stop` may be proposed to be stopped."""
_TRIES = 12
"""So many days are tried until the rules say what is wanted; under some packs on some days nobody can be, say, expiring."""
_SOURCES = (
    (Channel.APP, "partner:province-app"),
    (Channel.APP, "partner:province-app"),
    (Channel.UNIT, "partner:bureau"),
)


@dataclass(frozen=True, slots=True)
class Community:
    """An area of the fifth level, with all above."""

    code: str
    name: str

    @property
    def city(self) -> str:
        """Code of the city, which pays."""
        return self.code[:4]


@dataclass(frozen=True, slots=True)
class Person:
    """One person as the lists have them."""

    subject_id: str
    token: str
    community: Community
    name: str
    number: str
    born: date
    sex: str
    phone: str | None
    listed: date
    benefits: tuple[tuple[str, str, date, str | None], ...]
    """Scheme, category, first day, unit."""
    reference_id: str | None
    last: date | None
    """When they were certified last, without what the records say; None of somebody who never was."""
    seen: date | None
    """When they were certified at a terminal, of those who were in the last days."""
    channel: int
    wanted: str
    """What they are to be, of `_WANTED`."""

    @property
    def is_stoppable(self) -> bool:
        """Whether a stop may be proposed: nothing else happens to these, so that people can go on with it."""
        return self.wanted == "stop"


def communities(people: int) -> list[Community]:
    """Return the areas in which people live: two counties of two townships in each city."""
    found = []
    provinces = list(CITIES)
    for number in range(max(20, -(-people // _PEOPLE_OF_COMMUNITY))):
        place, city = divmod(number, len(provinces))
        county, township = place % 4 // 2 + 1, place % 2 + 1
        code = f"{CITIES[provinces[city]]}{county:02d}{township:03d}{place // 4 + 1:03d}"
        found.append(Community(code, area_name(number, 5)))
    return found


def area_rows(found: Sequence[Community]) -> Iterator[tuple[str, str | None, int, str]]:
    """Give the rows of all areas, those above first."""
    lengths = (2, 4, 6, 9)
    for level, length in enumerate(lengths, start=1):
        above = None if level == 1 else lengths[level - 2]
        for place, code in enumerate(dict.fromkeys(each.code[:length] for each in found)):
            yield code, None if above is None else code[:above], level, area_name(place, level)
    for each in found:
        yield each.code, each.code[:9], 5, each.name


def people_of(world: World, where: Sequence[Community]) -> Iterator[Person]:
    """Give everybody, the same for the same seed and day but for the claim tokens, which hang on the fleet's key."""
    draw = Random(f"{world.seed} people")  # noqa: S311 - a made population
    serials: Counter[tuple[date, str]] = Counter()
    for place in range(world.people):
        community = where[draw.randrange(len(where))]
        sex = "female" if draw.random() < 0.54 else "male"
        born = _born(draw, world.today)
        serials[born, sex] += 1
        number = _number(born, sex, serials[born, sex])
        document = IdentityDocument(DocumentKind.RESIDENT_ID, number)
        benefits = _benefits(draw, community, born)
        wanted = draw.choices([name for name, _ in _WANTED], [share for _, share in _WANTED])[0]
        listed = world.today - timedelta(days=draw.randrange(5, 25) if wanted == "never_certified" else _LISTED_DAYS)
        last = _last(draw, wanted, world.today, community, benefits, Entitlement(born, listed))
        is_recent = last is not None and wanted == "recent"
        has_reference = is_recent or draw.random() < (0.3 if last is None else _REFERENCE_SHARE)
        yield Person(
            subject_id=made_id(world.seed, "subject", place),
            token=claim_token(document, world.keys.claim_key),
            community=community,
            name=person_name(draw),
            number=number,
            born=born,
            sex=sex,
            phone=f"199{draw.randrange(10**8):08d}" if draw.random() < _PHONE_SHARE else None,
            listed=listed,
            benefits=benefits,
            reference_id=made_id(world.seed, "reference", place) if has_reference else None,
            last=None if is_recent else last,
            seen=last if is_recent else None,
            channel=draw.randrange(len(_SOURCES)),
            wanted=wanted,
        )


def rows_of(world: World, people: Sequence[Person]) -> dict[str, Iterator[Sequence[Any]]]:
    """Return the rows of everybody, by table."""
    return {
        "subjects": _subject_rows(world, people),
        "benefits": _benefit_rows(people),
        "references_": _reference_rows(world, people),
        "acts": _act_rows(people),
    }


def made_id(seed: int, what: str, place: int) -> str:
    """Return an id as random ones are, the same for the same seed."""
    return hashlib.sha256(f"{seed} {what} {place}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What the rules ask about somebody beside their benefits."""

    born: date
    listed: date


def _born(draw: Random, today: date) -> date:
    years = min(_YOUNGEST + int(draw.expovariate(1 / 12)), _OLDEST)
    return today - timedelta(days=years * 365 + years // 4 + 1 + draw.randrange(360))


def _number(born: date, sex: str, serial: int) -> str:
    # Odd for men, even for women. Source: GB 11643.
    digits = f"{_REGION}{born:%Y%m%d}{2 * serial - (1 if sex == 'male' else 0):03d}"
    return digits + check_digit(digits)


def _benefits(draw: Random, community: Community, born: date) -> tuple[tuple[str, str, date, str | None], ...]:
    schemes = _SCHEMES[community.code[:2]]
    chosen = schemes if draw.random() < _BOTH_SHARE else (draw.choice(schemes),)
    unit = unit_name(draw, community.name[:2]) if draw.random() < _UNIT_SHARE else None
    started = date(born.year + 55, born.month, 1)
    return tuple((scheme, draw.choice(categories), started, unit) for scheme, categories in chosen)


def _last(
    draw: Random,
    wanted: str,
    today: date,
    community: Community,
    benefits: tuple[tuple[str, str, date, str | None], ...],
    facts: Entitlement,
) -> date | None:
    """Return a day of the last act by which somebody is in the wanted state today."""
    if wanted == "never_certified":
        return None
    if wanted == "recent":
        # Most of those days ago on which many came; one in twelve comes today.
        return today if draw.random() < 1 / 12 else today - timedelta(days=draw.randrange(1, RECENT_DAYS))
    packs = [
        (pack, Entitled(started, facts.born, facts.listed))
        for scheme, category, started, _ in benefits
        for pack in _packs(scheme, category, community.city, today)
    ]
    found = today - timedelta(days=RECENT_DAYS + 1)
    for _ in range(_TRIES):
        day = today - timedelta(days=draw.randrange(RECENT_DAYS + 1, 460))
        asked = strictest(obligation(pack, who, [Act("a", day, ActKind.ACCEPTED, Channel.APP)]) for pack, who in packs)
        if asked is None:
            return day
        is_stopped = asked.stop_from <= today
        state = state_on(asked, today)
        if (wanted == "stop" and is_stopped) or (wanted == state and not is_stopped):
            return day
        if not is_stopped and state is CertificationState.CERTIFIED:
            found = day
    return found


@cache
def _packs(scheme: str, category: str, city: str, today: date) -> tuple[RulePack, ...]:
    shelf = Shelf(tuple(map(shipped_pack, SHIPPED)), default_pack())
    return tuple(shelf.packs_for(scheme, category, frozenset({city, city[:2]}), today))


def _subject_rows(world: World, people: Sequence[Person]) -> Iterator[Sequence[Any]]:
    encrypt = world.keys.cipher.encrypt
    for person in people:
        who = person.subject_id
        document = IdentityDocument(DocumentKind.RESIDENT_ID, person.number)
        phone = None if person.phone is None else encrypt(person.phone, subject_id=who, field_name="phone")
        yield (
            who,
            person.token,
            person.community.code,
            encrypt(person.name, subject_id=who, field_name="name"),
            encrypt(document.text, subject_id=who, field_name="document"),
            datetime.combine(person.listed, time(9), ZONE),
            person.born,
            person.sex,
            phone,
            tokens_of(world.keys.cipher, person.name),
        )


def _benefit_rows(people: Sequence[Person]) -> Iterator[Sequence[Any]]:
    for person in people:
        for scheme, category, started, unit in person.benefits:
            managed = "socialised" if unit is None else "unit"
            yield person.subject_id, scheme, person.community.city, category, started, unit, managed


def _reference_rows(world: World, people: Sequence[Person]) -> Iterator[Sequence[Any]]:
    draw = np.random.default_rng(world.seed)
    made = datetime.combine(world.today - timedelta(days=600), time(10), ZONE)
    for place, person in enumerate(people):
        if person.reference_id is None:
            continue
        vector = draw.standard_normal(128, dtype=np.float32)
        features = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
        basis = "statute" if place % 5 == 0 else "consent"
        yield (
            *(person.subject_id, person.reference_id, features, MODEL, "ai-edge-litert 2.3.0", "d1"),
            *(60.0 + place % 35, "live", basis, made, made.date() + timedelta(days=3 * 365)),
        )


def _act_rows(people: Sequence[Person]) -> Iterator[Sequence[Any]]:
    for person in people:
        if person.last is None:
            continue
        channel, source = _SOURCES[person.channel]
        at = datetime.combine(person.last, time(10, 30), ZONE)
        act_id = hashlib.sha256(f"act {person.subject_id}".encode()).hexdigest()[:32]
        kind = ActKind.ACCEPTED
        yield act_id, person.subject_id, kind.value, channel.value, at, source, act_id[:16], at + timedelta(hours=3)
