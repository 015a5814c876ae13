"""Errors of the shared wire format, by what the caller can do about them."""

from __future__ import annotations


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


class ManifestInvalid(ProtocolError):
    """A model manifest that cannot be read or that disagrees with its network file."""
