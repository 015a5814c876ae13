"""What `evaluate scenes` shows to the terminal: living people and every species of attack, no two presentations alike.

Each presentation has a seed of its own; the room, the place, the pulse, the tempo, the hand and, for recordings, the session that was
recorded are drawn from it. So a presentation is the same whoever plays it, in whatever order.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from device.errors import ClipInvalid
from device.simulated.actor import Actor, SwapActor
from device.simulated.entropy import SeededEntropy
from device.simulated.layered import (
    LayeredClip,
    LayeredDescription,
    Screen,
    ScreenDescription,
    describe,
    open_layered,
    open_screen,
)
from device.simulated.performers import Answering, Heedless, Pausing, Performer, Still
from device.simulated.presenting import (
    Filming,
    Frozen,
    Injection,
    OnScreen,
    Present,
    Pulse,
    Says,
    StandIn,
    Tremor,
)
from device.simulated.scene import DARK, Layers, Place, RingState, Room
from models.tools.scene_actors import Beside, Cue, Cued, InPlaceOf, Mistaken, PushedAside, WithinLight, tilted
from protocol.challenge import Action, LightChip, draw_light_code
from protocol.policy import LightPolicy, PathName, Policy

BONA_FIDE = "bona_fide"
LIVING = ("answers", "slow", "wrong_once")
"""How living people answer: promptly; late and slowly; the first turn to the wrong side."""
SHEETS = ("print_flat", "print_bent", "cut_out")
_SWAP_AFTER = {"after_light": 0, "after_first_action": 1}
"""Prompts that the first of two people answers; the other one has come when the next is given, so there must be one."""
SPECIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SHEETS, ("imitating", "heedless")),
    "screen_still": ("dark_room", "lit_room"),
    "screen_earlier_session": ("heedless", "paused"),
    "screen_right_actions": ("plain", "constant_light", "earlier_code"),
    "screen_pushed_aside": ("pushed", "tilted"),
    "sheet_within_light": ("as_near", "nearer"),
    "injected_earlier_session": ("silent", "obeying", "obeying_paused"),
    "injected_right_actions": ("silent", "obeying", "obeying_bright", "earlier_code"),
    "frozen_sensor": ("stuck", "obeying"),
    "swap": tuple(_SWAP_AFTER),
    "stand_in": ("acts",),
}
"""Attack species and the ways each is played. Source of the list: what such terminals have met; ISO/IEC 30107-1 calls both artefacts and
human characteristics (swap, stand-in) presentation attack instruments. On the helper's path sheets and screens are also played beside
somebody living (`WITH_HELPER`)."""
OUTSIDE_BAR: dict[str, tuple[str, ...]] = {"swap_alike": tuple(_SWAP_AFTER)}
"""Played and shown apart, in no total: people whom the features network takes for one person change places, which continuity cannot see."""
WITH_HELPER = "_with_helper"
"""How a variant with a living accomplice beside it ends."""

_OUTSIDE_SHARE = 20
"""One presentation outside the bar for so many attacks."""
_OF_TWO = frozenset({"swap", "stand_in", "sheet_within_light"})
_PUSHED_PX = 38
"""Some .6 eye distances of a face at half a metre."""
_SCREENS = frozenset({"screen_still", "screen_earlier_session", "screen_right_actions"})
_STILL_PATHS = frozenset({PathName.NO_MOVEMENT})


@dataclass(frozen=True, slots=True)
class Presentation:
    """One thing to show to the terminal."""

    number: int
    species: str
    """`bona_fide` or an attack species."""
    variant: str
    person: str
    """Whom it claims to be."""
    other: str | None
    """The second person of a swap or stand-in; the accomplice of a sheet within the light; the helper on the helper's path."""
    group: str
    path: PathName
    seed: int
    """Of everything that varies."""


@dataclass(frozen=True, slots=True)
class People:
    """The rendered people of a folder, with the sheets and screens that go with them."""

    folder: Path
    group_of: dict[str, str]
    """Development or held out, by name."""
    sheets: dict[tuple[str, str], str]
    """Name of the sheet's clip by person and species."""
    screens: tuple[str, ...]
    alike: frozenset[frozenset[str]] = frozenset()
    """Pairs of one group that the features network cannot tell apart; they take each other's place outside the bar alone."""

    def clip(self, name: str) -> LayeredClip:
        """Return a decoded clip."""
        return open_layered(self.folder / f"{name}.toml")

    def others(self, person: str) -> tuple[str, ...]:
        """Return everybody else of the same group who does not look alike."""
        return tuple(name for name in self.fellows(person) if frozenset({name, person}) not in self.alike)

    def lookalikes(self, person: str) -> tuple[str, ...]:
        """Return everybody else of the same group who looks alike."""
        return tuple(name for name in self.fellows(person) if frozenset({name, person}) in self.alike)

    def fellows(self, person: str) -> tuple[str, ...]:
        """Return everybody else of the same group."""
        return tuple(name for name, group in self.group_of.items() if name != person and group == self.group_of[person])

    def pairs(self) -> int:
        """Return the number of pairs of one group."""
        return sum(len(self.fellows(person)) for person in self.group_of) // 2


def find_people(folder: Path) -> People:
    """Read all clip descriptions of a folder.

    Raises:
        ClipInvalid: if one cannot be used, or nobody is in it.
    """
    people: dict[str, str] = {}
    sheets: dict[tuple[str, str], str] = {}
    screens: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        found = describe(path)
        if isinstance(found, ScreenDescription):
            screens.append(path.stem)
        elif isinstance(found, LayeredDescription) and found.attack is None:
            people[path.stem] = found.group
        elif isinstance(found, LayeredDescription) and found.attack is not None:
            sheets[found.attack.of, found.attack.species] = path.stem
    if not people:
        raise ClipInvalid(f"folder {folder.name}: no layered clip of a person in it")
    return People(folder, people, sheets, tuple(screens))


def plan(people: People, policy: Policy, *, attacks: int, bona_fide: int, seed: int) -> tuple[Presentation, ...]:
    """Lay out the presentations: each species on each path of the policy in turn, with persons and variants in turn.

    Args:
        people: who there is.
        policy: its paths are gone.
        attacks: number of attack presentations; one in twenty of that number is played besides, outside the bar.
        bona_fide: number of presentations of living people, spread over the paths.
        seed: of everything.
    """
    paths = tuple(path for path in PathName if path in policy.paths)
    chosen: list[tuple[str, str, str, PathName]] = []
    cells = [
        (species, path, _pairs(people, species, path))
        for path, species in itertools.product(paths, SPECIES)
        if _pairs(people, species, path)
    ]
    cells = sorted(cells, key=lambda cell: _draw(seed, f"{cell[0]} {cell[1]}"))
    for turn in itertools.count():
        if len(chosen) >= attacks or not cells:
            break
        for species, path, pairs in cells:
            # Each cell begins somewhere else, so that a short run already sees several persons.
            person, variant = pairs[(turn + _draw(seed, f"{path} {species}")) % len(pairs)]
            chosen.append((species, variant, person, path))
    living = [
        sorted(
            ((BONA_FIDE, variant, person, path) for person, path in itertools.product(people.group_of, paths)),
            key=lambda row: _draw(seed, f"{row[2]} {row[3]}"),
        )
        for variant in LIVING
    ]
    outside = [
        (species, variant, person, path)
        for species, path in itertools.product(OUTSIDE_BAR, paths)
        for person, variant in _pairs(people, species, path)
    ]
    outside = sorted(outside, key=lambda row: _draw(seed, f"outside {row}"))
    rows = [
        *chosen[:attacks],
        *itertools.islice(itertools.cycle(itertools.chain(*living)), bona_fide),
        *itertools.islice(itertools.cycle(outside), attacks // _OUTSIDE_SHARE if outside else 0),
    ]
    return tuple(
        Presentation(
            number=number,
            species=species,
            variant=variant,
            person=person,
            other=_other(people, person, species, path, seed + number),
            group=people.group_of[person],
            path=path,
            seed=_draw(seed, f"presentation {number}"),
        )
        for number, (species, variant, person, path) in enumerate(rows)
    )


def build(presentation: Presentation, people: People, policy: Policy) -> Actor:
    """Return the actor of a presentation."""
    making = _Making(presentation, people, policy)
    actor = _BUILDERS[presentation.species](making)
    if presentation.variant.endswith(WITH_HELPER) and isinstance(actor, Present | OnScreen):
        helper = _second(making)
        actor = Beside(actor, helper.moments[helper.description.segments.idle[0]])
    return Cued(actor, making.cue)


def session_nonce(seed: int) -> bytes:
    """Return the nonce of a session whose entropy has a seed: the second thing that it draws."""
    entropy = SeededEntropy(seed)
    entropy.token(16)
    return entropy.token(16)


def portrait_actor(person: str, people: People) -> Present:
    """Return a person at rest in the room's own light, as an enrolment desk sees them."""
    clip = people.clip(person)
    return Present(clip, Still(clip.description.segments.idle[0]))


def _pairs(people: People, species: str, path: PathName) -> tuple[tuple[str, str], ...]:
    """Return persons and variants that a species can be played with on a path."""
    persons = [
        person
        for person in people.group_of
        if (species not in SHEETS or (person, species) in people.sheets)
        and (species != "sheet_within_light" or (person, "print_flat") in people.sheets)
        and (species not in OUTSIDE_BAR or people.lookalikes(person))
        and (not species.startswith("screen") or people.screens)
        and (species not in _OF_TWO or people.others(person))
    ]
    if not persons or (species == "stand_in" and path in _STILL_PATHS):
        return ()
    variants = {**SPECIES, **OUTSIDE_BAR}[species]
    if species in {"swap", *OUTSIDE_BAR} and path in _STILL_PATHS:
        variants = variants[:1]
    if path is PathName.HELPER and (species in SHEETS or species in _SCREENS):
        variants = (*variants, *(f"{variant}{WITH_HELPER}" for variant in variants))
        persons = [person for person in persons if people.fellows(person)]
    # Persons and variants both change with each turn, so that a short run already sees many.
    count = len(persons) * len(variants)
    return tuple((persons[n % len(persons)], variants[(n + n // len(persons)) % len(variants)]) for n in range(count))


def _other(people: People, person: str, species: str, path: PathName, seed: int) -> str | None:
    """Return the second person; whoever only stands beside somebody may be anybody."""
    if species in OUTSIDE_BAR:
        others = people.lookalikes(person)
    elif species in _OF_TWO:
        others = people.others(person)
    else:
        others = people.fellows(person) if path is PathName.HELPER else ()
    return others[seed % len(others)] if others else None


def _draw(seed: int, what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {what}".encode()).digest()[:6], "big")


class _Making:
    """What the builders of one presentation share; everything random comes from its seed."""

    def __init__(self, presentation: Presentation, people: People, policy: Policy) -> None:
        self.of = presentation
        self.variant = presentation.variant.removesuffix(WITH_HELPER)
        self.people = people
        self.policy = policy
        self.random = np.random.default_rng(presentation.seed)
        self.room = Room(light=float(self.random.uniform(0.7, 1.6)), tint=self._tint())
        self.tremor = Tremor(float(self.random.uniform(0.4, 1.6)), float(self.random.uniform(0, 6)))
        self.clip = people.clip(presentation.person)
        self.cue = Cue()
        """Hears when the terminal's light begins: a thief who knows the terminal starts the light of a recording then."""

    def person(self, clip: LayeredClip, *, helper: Layers | None = None) -> Present:
        """Return somebody alive at a place of their own, with a helper beside them where there is one."""
        return Present(
            clip,
            self.answering(clip),
            helper=helper,
            room=self.room,
            place=Place(
                float(self.random.uniform(0.92, 1.08)),
                int(self.random.integers(-15, 16)),
                int(self.random.integers(-10, 11)),
            ),
            pulse=Pulse(float(self.random.uniform(55, 95)), float(self.random.uniform(0.006, 0.010))),
        )

    def answering(self, clip: LayeredClip) -> Answering:
        """Return a performer who does what is asked, in a tempo of their own."""
        makes = Mistaken if self.variant == "wrong_once" else Answering
        reaction_s, pace = (1.4, 3.0), (0.7, 0.85)
        if self.variant != "slow":
            reaction_s, pace = (0.6, 1.4), (0.85, 1.1)
        return makes(
            clip.description,
            reaction_s=float(self.random.uniform(*reaction_s)),
            pace=float(self.random.uniform(*pace)),
        )

    def recorded(self, *, is_paused: bool) -> Performer:
        """Return the performer of an earlier session: actions of its own, in its own order."""
        count = self.policy.challenge.count
        actions: list[Action] = []
        while len(actions) < count:
            action = self.policy.challenge.actions[int(self.random.integers(len(self.policy.challenge.actions)))]
            if not actions or action is not actions[-1]:
                actions.append(action)
        if is_paused:
            return Pausing(self.clip.description, actions, reaction_s=float(self.random.uniform(0.5, 1.2)))
        return Heedless(self.clip.description, actions, rest_s=float(self.random.uniform(1.5, 3.0)))

    def earlier_code(self) -> Callable[[float], RingState]:
        """Return the light of an earlier session on the same path, by the time now; dark where the path has none."""
        nonce = self.random.bytes(16)
        return lambda at_s: self._code(nonce, 0, at_s)

    def own_code(self) -> Callable[[float], RingState]:
        """Return the light that this session asks for, as nearly as somebody sees it who watches the ring."""
        nonce = session_nonce(self.of.seed)
        return lambda at_s: self._code(nonce, max(0, self.cue.attempt), at_s)

    @property
    def light_s(self) -> float:
        """How long a code of the path takes, 0 where it has none."""
        rules = self.policy.light.get(self.of.path)
        return 0.0 if rules is None else rules.chips * (rules.chip_s + rules.ramp_s) + rules.ramp_s

    def _code(self, nonce: bytes, attempt: int, at_s: float) -> RingState:
        rules, since_s = self.policy.light.get(self.of.path), self.cue.since_s(at_s)
        if rules is None or since_s is None:
            return DARK
        chips = _drawn(nonce, rules, attempt)
        step_s = rules.chip_s + rules.ramp_s
        number = int(since_s // step_s)
        if number >= len(chips):
            return DARK
        chip, before = chips[number], chips[max(0, number - 1)]
        part = 1.0 if not rules.ramp_s else min(1.0, (since_s - number * step_s) / rules.ramp_s)
        # Whole percents, so that like moments of a fade are kept.
        return RingState(
            round(before.left + part * (chip.left - before.left), 2),
            round(before.right + part * (chip.right - before.right), 2),
        )

    def filming(self, performer: Performer, ring: Callable[[float], RingState], *, is_clean: bool) -> Filming:
        """Return a film of the person."""
        pulse = None if is_clean else Pulse(float(self.random.uniform(55, 95)), 0.008)
        scene = Present(self.clip, performer, pulse=pulse)
        return Filming(scene, ring=ring, seed=self.of.seed, is_clean=is_clean)

    def screen(self) -> Screen:
        """Return one of the displays."""
        name = self.people.screens[int(self.random.integers(len(self.people.screens)))]
        return open_screen(self.people.folder / f"{name}.toml")

    def on_screen(self, content: Filming, *, room: Room | None = None) -> OnScreen:
        """Return a display in somebody's hand that shows a film."""
        return OnScreen(
            self.screen(),
            content,
            crop=float(self.random.uniform(0.6, 0.9)),
            brightness=float(self.random.uniform(0.7, 1.0)),
            room=room or self.room,
            tremor=self.tremor,
        )

    def _tint(self) -> tuple[float, float, float]:
        warm = float(self.random.uniform(-0.12, 0.12))
        return round(1 + warm, 3), 1.0, round(1 - warm, 3)


def _bona_fide(making: _Making) -> Actor:
    if making.of.path is not PathName.HELPER or making.of.other is None:
        return making.person(making.clip)
    helper = _second(making)
    return making.person(making.clip, helper=helper.moments[helper.description.segments.idle[0]])


def _sheet(making: _Making) -> Actor:
    sheet = making.people.clip(making.people.sheets[making.of.person, making.of.species])
    segments = sheet.description.segments
    can = [action for action in Action if segments.of(action)]
    performer: Performer = making.answering(sheet)
    if making.variant == "heedless":
        performer = Heedless(sheet.description, can, rest_s=float(making.random.uniform(1.0, 3.0)))
    return Present(sheet, performer, room=making.room, tremor=making.tremor)


def _screen_still(making: _Making) -> Actor:
    still = Still(making.clip.description.segments.idle[0])
    room = making.room if making.variant == "lit_room" else Room(light=0.15)
    return making.on_screen(making.filming(still, lambda _: DARK, is_clean=True), room=room)


def _screen_earlier(making: _Making) -> Actor:
    performer = making.recorded(is_paused=making.variant == "paused")
    return making.on_screen(making.filming(performer, making.earlier_code(), is_clean=True))


def _screen_right(making: _Making) -> Actor:
    lights: dict[str, Callable[[float], RingState]] = {
        "plain": lambda _: DARK,
        "constant_light": lambda _: RingState(0.5, 0.5),
        "earlier_code": making.earlier_code(),
    }
    film = making.filming(making.answering(making.clip), lights[making.variant], is_clean=True)
    return making.on_screen(film)


def _screen_aside(making: _Making) -> Actor:
    recorded, asked = making.earlier_code(), making.own_code()
    content = making.filming(making.answering(making.clip), recorded, is_clean=True)
    screen, crop = making.screen(), float(making.random.uniform(0.6, 0.9))
    is_tilted = making.variant == "tilted"
    rests, aside = (
        OnScreen(shown, content, crop=crop, room=making.room, tremor=making.tremor)
        for shown in (screen, tilted(screen) if is_tilted else screen)
    )
    return PushedAside(
        rests,
        aside,
        right_px=0 if is_tilted else _PUSHED_PX,
        is_aside=lambda at_s: recorded(at_s) != asked(at_s),
    )


def _sheet_within_light(making: _Making) -> Actor:
    sheet = making.people.clip(making.people.sheets[making.of.person, "print_flat"])
    nearer = float(making.random.uniform(1.03, 1.10)) if making.variant == "nearer" else 1.0
    held = Present(
        sheet,
        Still(sheet.description.segments.idle[0]),
        room=making.room,
        place=Place(zoom=nearer),
        tremor=making.tremor,
    )
    begin_s = float(making.random.uniform(0.1, 0.5)) * making.light_s
    return WithinLight(
        making.on_screen(making.filming(making.answering(making.clip), lambda _: DARK, is_clean=True)),
        making.person(_second(making)),
        held,
        making.cue,
        light_s=making.light_s,
        from_s=begin_s,
        until_s=begin_s + float(making.random.uniform(1.6, 2.4)),
    )


def _injected_earlier(making: _Making) -> Actor:
    performer = making.recorded(is_paused=making.variant == "obeying_paused")
    film = making.filming(performer, making.earlier_code(), is_clean=False)
    return Injection(film, says=Says.NOTHING if making.variant == "silent" else Says.OBEYS)


def _injected_right(making: _Making) -> Actor:
    ring = making.earlier_code() if making.variant == "earlier_code" else lambda _: DARK
    film = making.filming(making.answering(making.clip), ring, is_clean=False)
    says = Says.NOTHING if making.variant == "silent" else Says.OBEYS
    return Injection(film, says=says, follows_exposure=making.variant in {"obeying_bright", "earlier_code"})


def _frozen(making: _Making) -> Actor:
    says = Says.STUCK if making.variant == "stuck" else Says.OBEYS
    return Frozen(making.person(making.clip), after_s=float(making.random.uniform(1.0, 8.0)), says=says)


def _swap(making: _Making) -> Actor:
    first, second = making.person(making.clip), making.person(_second(making))
    if making.of.path in _STILL_PATHS:
        return InPlaceOf(first, second, from_s=float(making.random.uniform(2.0, 8.0)))
    return SwapActor(first, second, after_prompts=_SWAP_AFTER[making.variant])


def _stand_in(making: _Making) -> Actor:
    return StandIn(rests=making.person(making.clip), acts=making.person(_second(making)))


def _second(making: _Making) -> LayeredClip:
    assert making.of.other is not None, "planned with another person"  # noqa: S101 - an invariant of `plan`
    return making.people.clip(making.of.other)


_BUILDERS: dict[str, Callable[[_Making], Actor]] = {
    BONA_FIDE: _bona_fide,
    **dict.fromkeys(SHEETS, _sheet),
    "screen_still": _screen_still,
    "screen_earlier_session": _screen_earlier,
    "screen_right_actions": _screen_right,
    "screen_pushed_aside": _screen_aside,
    "sheet_within_light": _sheet_within_light,
    "injected_earlier_session": _injected_earlier,
    "injected_right_actions": _injected_right,
    "frozen_sensor": _frozen,
    "swap": _swap,
    "stand_in": _stand_in,
    **dict.fromkeys(OUTSIDE_BAR, _swap),
}


@lru_cache(maxsize=8)
def _drawn(nonce: bytes, rules: LightPolicy, attempt: int) -> tuple[LightChip, ...]:
    return draw_light_code(nonce, rules, attempt=attempt)


def by_person(presentations: Sequence[Presentation]) -> tuple[Presentation, ...]:
    """Return them in an order in which a clip that is open is used again."""
    return tuple(sorted(presentations, key=lambda one: (one.person, one.species, one.other or "", one.number)))
