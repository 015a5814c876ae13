"""What a feed is, as data: who delivers which kinds of life events, whose word confirms, how often, and how its files are read."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from fleet.errors import ImportRefused
from fleet.tables import toml
from fleet.tables.toml import place_of
from protocol.documents import DocumentKind
from protocol.errors import Problem
from protocol.rules.faults import faults_in
from protocol.rules.life import LifeEventKind
from protocol.rules.pack import RuleId, Title
from protocol.wire import WirePart

FeedName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Names a feed on the command line, in deliveries and as `feed:<name>` in what it brings."""
_Word = Annotated[str, StringConstraints(min_length=1, max_length=60)]
_CodeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,29}$")]


class Body(StrEnum):
    """Who keeps the data. Source: R8-3, R8-6, R8-7, R8-8, R8-10, R8-12."""

    TRANSPORT = "transport"
    POLICE = "police"
    CIVIL_AFFAIRS = "civil_affairs"
    JUSTICE = "justice"
    FINANCE = "finance"
    HEALTH = "health"
    MEDICAL_INSURANCE = "medical_insurance"
    EXIT_ENTRY = "exit_entry"
    FUNERAL = "funeral"
    COURT = "court"
    TOWNSHIP = "township"
    HUMAN_RESOURCES = "human_resources"


class Code(WirePart):
    """One more column, of which each row has one of a few words: the direction of a border crossing, the finding of a check."""

    name: _CodeName
    headings: tuple[_Word, ...] = Field(min_length=1)
    """What its column is called."""
    words: dict[_CodeName, tuple[_Word, ...]] = Field(min_length=1)
    """Each code with the words that stand for it, beside the code itself."""
    no_event: tuple[_CodeName, ...] = ()
    """Codes that are noted and are no life event: "still in the register"."""

    def code_of(self, word: str) -> str | None:
        """Return the code of a word; None for any other."""
        return next((code for code, words in self.words.items() if word == code or word in words), None)


class FeedDefinition(WirePart):
    """One feed."""

    title: Title
    body: Body
    kinds: tuple[LifeEventKind, ...] = Field(min_length=1)
    """What its rows report; with several, each row says which."""
    confirms: bool
    """Whether its word is a confirmation: that of the body which keeps the register."""
    cycle: Literal["monthly", "as_it_happens"] = "monthly"
    """`as_it_happens`: deliveries come when there is something, and none is missed (R8-4, R8-8)."""
    due_day: int = Field(default=10, ge=1, le=28)
    """The day of the following month by which a month's delivery is to be here."""
    area_level: int | None = Field(default=None, ge=1, le=5)
    """Every area of this level reports by itself, "none" as well (R8-10); None where one body reports for all."""
    since: tuple[_Word, ...] = ()
    """More names of the column with the day, or the first day."""
    until: tuple[_Word, ...] = ()
    """More names of the column with the day on which it ended."""
    code: Code | None = None
    rules: tuple[RuleId, ...] = ()
    """Rules of the source documents that ask for it."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.area_level is not None and self.cycle != "monthly":
            raise PydanticCustomError("area_by_month", "area_level: areas report by the month")
        if self.code is not None and not set(self.code.no_event) <= set(self.code.words):
            raise PydanticCustomError("no_event_unknown", "code.no_event: a code that has no words")
        return self


class Catalogue(WirePart):
    """The feeds that come with the program, and the words by which all files are read."""

    columns: dict[str, tuple[_Word, ...]]
    documents: dict[DocumentKind, tuple[_Word, ...]]
    kinds: dict[LifeEventKind, tuple[_Word, ...]]
    feeds: dict[FeedName, FeedDefinition]

    def document_kind(self, word: str) -> DocumentKind | None:
        """Return the kind of document that a word stands for; None for any other."""
        return next((kind for kind, words in self.documents.items() if word == kind or word in words), None)

    def event_kind(self, word: str) -> LifeEventKind | None:
        """Return the kind of life event that a word stands for; None for any other."""
        return next((kind for kind, words in self.kinds.items() if word == kind or word in words), None)


@cache
def catalogue() -> Catalogue:
    """Return the shipped catalogue."""
    found = files("fleet.exchange").joinpath("feeds.toml").read_text(encoding="utf-8")
    return Catalogue.model_validate(tomllib.loads(found))


_OWN = frozenset({"area_by_month", "no_event_unknown"})
"""Kinds of faults that definitions themselves find."""
MAX_DEFINITION_BYTES = 16 * 1024
"""Twenty times the longest one that is shipped."""


def read_definition(raw: bytes) -> FeedDefinition:
    """Read the definition of a feed of the agency's own.

    Args:
        raw: TOML in UTF-8 with the keys of one feed.

    Raises:
        ImportRefused: with everything that is wrong, each a `Problem` with its key.
    """
    if len(raw) > MAX_DEFINITION_BYTES:
        sentence = f"{len(raw)} bytes, at most {MAX_DEFINITION_BYTES} are taken"
        raise ImportRefused([Problem(sentence, "too_long", bytes=len(raw), most=MAX_DEFINITION_BYTES)])
    try:
        return FeedDefinition.model_validate(tomllib.loads(raw.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise ImportRefused([Problem(f"not UTF-8 from byte {error.start}", "not_utf8", byte=error.start)]) from error
    except tomllib.TOMLDecodeError as error:
        line, column = place_of(error)
        raise ImportRefused([Problem(f"not TOML: {error}", "not_toml", line=line, column=column)]) from error
    except ValidationError as error:
        raise ImportRefused(faults_in(error, FeedDefinition, own=_OWN)) from error


def written(definition: FeedDefinition) -> str:
    """Return a definition as TOML, to begin another one with."""
    return toml.written(definition.model_dump(mode="json", exclude_defaults=True))
