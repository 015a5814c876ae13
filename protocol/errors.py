"""Errors of the shared wire format, by what the caller can do about them."""

from __future__ import annotations

from typing import Self


class ProtocolError(Exception):
    """Something that came from outside is not a valid object of the protocol; refuse it."""


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


class Problem(str):
    """One thing that is wrong, as an English sentence; `code` and `facts` are for whoever says it in another language."""

    __slots__ = ("code", "facts", "key")

    code: str
    facts: dict[str, str]
    key: str
    """Where it is, as a dotted key; empty where it is about the whole."""

    def __new__(cls, sentence: str, code: str, *, key: str = "", **facts: object) -> Self:
        """Take the sentence, and what it is made of."""
        made = super().__new__(cls, sentence)
        made.code = code
        made.key = key
        made.facts = {name: str(value) for name, value in facts.items()}
        return made


class ManifestInvalid(ProtocolError):
    """A model manifest that cannot be read or that disagrees with its network file."""
