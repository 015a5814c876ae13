"""Errors of the shared wire format, by what the caller can do about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self


class Problem(str):
    """One thing that is wrong, as an English sentence; `code` and `facts` are for whoever says it in another language."""

    __slots__ = ("code", "facts", "key")

    code: str
    facts: dict[str, str | Sequence[str]]
    """What the sentence names; a fact that is a problem itself is said by itself."""
    key: str
    """Where it is, as a dotted key; empty where it is about the whole."""

    def __new__(cls, sentence: str, code: str, *, key: str = "", **facts: object) -> Self:
        """Take the sentence, and what it is made of."""
        made = super().__new__(cls, sentence)
        made.code = code
        made.key = key
        made.facts = {
            name: value if isinstance(value, str | list | tuple) else str(value) for name, value in facts.items()
        }
        return made

    @classmethod
    def of(cls, error: Exception, code: str, facts: Mapping[str, object]) -> Self:
        """Return what an error says."""
        return cls(str(error), code, **dict[str, Any](facts))

    def at(self, source: object) -> Problem:
        """Return it with what it is in, such as a file, named in the English sentence only: a page shows that beside it."""
        return Problem(f"{source}: {self}", self.code, key=self.key, **dict[str, Any](self.facts))

    def within(self, *places: Problem) -> Problem:
        """Return it with where it is, the outermost place first."""
        found = self
        for place in reversed(places):
            found = Problem(f"{place}: {found}", "within", place=place, what=found)
        return found


class ProtocolError(Exception):
    """Something that came from outside is not a valid object of the protocol; refuse it.

    Where people may read why, it has a `code` and `facts` beside the English message, as `Problem` has.
    """

    def __init__(self, message: str = "", *, code: str = "", **facts: object) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts

    @property
    def problem(self) -> Problem:
        """What is wrong, to be listed with other problems."""
        return Problem.of(self, self.code, self.facts)


class Malformed(ProtocolError):
    """Bytes that are not the type they claim to be."""


class UnsupportedVersion(ProtocolError):
    """A well-formed object of a version this program does not know."""


class SignatureInvalid(ProtocolError):
    """A signature, key id or type header does not hold."""


class NotForUs(ProtocolError):
    """A sealed object that was sealed to another key."""


class Expired(ProtocolError):
    """An object whose time is over."""


class ManifestInvalid(ProtocolError):
    """A model manifest that cannot be read or that disagrees with its network file."""
