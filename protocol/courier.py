"""The courier stick: what lies on it, how it is named, signed and sealed. Its files: `protocol.courier_files`.

A stick carries the very messages that MQTT carries, and nothing is decided by the way they came. On it lies

    lifecert/fleet-<fleet>/updates/<bundle id>.bundle     updates (`protocol.bundle`), for whichever terminal is told of them
    lifecert/fleet-<fleet>/terminal-<terminal>/records/   terminal to fleet: its chain, and its question for roster changes
                                              /answers/   fleet to terminal: receipts, policy and whatever else goes down
                                              /roster/    fleet to terminal: roster pages

Each of the last three is a *courier bundle*: chunk files and, written last, a manifest that lists them. A chunk is JWE of JWS of
`courier-chunk`: signed by who wrote it, sealed to who reads it. Its file name says a number that gives the order, what is in it (a
digest, so that a writer that was interrupted knows what it need not write again) and the digest of the file (so that damage shows without
any key). Names hold lower-case letters, digits and dashes: every file system of a stick takes them, and they say nothing about anybody.

The writer only adds. The reader removes what it has taken in durably, so that no message exists nowhere at any moment; the one
exception is the roster, whose pages the fleet replaces, because it can make them again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from protocol.envelope import seal, unseal, verify
from protocol.errors import Malformed, NotForUs
from protocol.ids import FleetId, TerminalId
from protocol.keys import PrivateKey, PublicJwk
from protocol.topics import TABLE, Kind
from protocol.wire import MAX_MESSAGE_BYTES, UtcTime, WireMessage, WirePart

CHUNK_TYP = "lifecert-courier-chunk"
MANIFEST_TYP = "lifecert-courier-manifest"
ROOT = "lifecert"
MANIFEST = "manifest.lcb"
UPDATES = "updates"
"""Folder of a fleet's bundles of updates; they carry their own signature, are sealed to nobody, and stay for the next terminal."""
BLOCK = 32
"""Most messages in a chunk. At some 6 KiB a record a chunk is a third of a MiB: seconds on the slowest stick, and all that an interruption
makes a writer do again."""
CHUNK_BYTES = 384 * 1024
"""Aim for the messages of one chunk; one message alone may be larger."""
MOST_CHUNKS = 10_000
"""Most chunks of one bundle: a folder of FAT32 holds 65,536 entries of 32 bytes, and a long name of 50 characters takes five of them."""
MAX_CHUNK_BYTES = 2 * MAX_MESSAGE_BYTES
"""Largest chunk file, as `protocol.envelope` opens it."""
_FLEET, _TERMINAL = "fleet-", "terminal-"
_FLEET_FOLDER = re.compile(_FLEET + r"[a-z0-9][a-z0-9-]{0,62}")
_TERMINAL_FOLDER = re.compile(_TERMINAL + r"[a-z0-9][a-z0-9-]{0,62}")
_NAME = re.compile(r"(\d{12})-([0-9a-f]{16})-([0-9a-f]{16})\.lcb")
_DIGEST_CHARACTERS = 16
_GROWTH = 16 / 9
"""Signing and sealing write base64 twice (RFC 7515, RFC 7516)."""
_FRAME_BYTES = 1024
"""More than what headers, signature and tag of both layers take."""

CompactEnvelope = Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE_BYTES, pattern=r"^[A-Za-z0-9_.-]+$")]
"""A signed or sealed message in compact form, byte for byte as MQTT would carry it."""


class CourierBundle(StrEnum):
    """One of the three folders of a terminal on a stick."""

    RECORDS = "records"
    ANSWERS = "answers"
    ROSTER = "roster"

    @property
    def direction(self) -> Literal["up", "down"]:
        """Which way its messages go, as in `protocol.topics`."""
        return "up" if self is CourierBundle.RECORDS else "down"


@dataclass(frozen=True, slots=True)
class Address:
    """Whose bundle it is."""

    fleet_id: str
    terminal_id: str
    bundle: CourierBundle


class CourierMessage(WirePart):
    """One message with the kind of the topic it would be published to."""

    kind: Kind
    envelope: CompactEnvelope = Field(repr=False)


class CourierPart(WireMessage):
    """What chunk and manifest have in common; never a message of its own."""

    MAX_BYTES: ClassVar[int] = MAX_MESSAGE_BYTES + 64 * 1024

    fleet_id: FleetId
    terminal_id: TerminalId
    bundle: CourierBundle
    made_at: UtcTime
    """When it was written; signed by the fleet, it is a lower bound of the true time, and by a terminal worth what its clock is worth."""

    @property
    def address(self) -> Address:
        """Whose it is."""
        return Address(self.fleet_id, self.terminal_id, self.bundle)


class CourierChunk(CourierPart):
    """Some messages of one bundle."""

    TYPE: ClassVar[str] = "courier-chunk"
    VERSION: ClassVar[int] = 1

    type: Literal["courier-chunk"] = "courier-chunk"
    version: Literal[1] = 1
    messages: tuple[CourierMessage, ...] = Field(min_length=1, max_length=BLOCK)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if any(TABLE[message.kind].direction != self.bundle.direction for message in self.messages):
            raise ValueError(f"chunk: a message that does not go {self.bundle.direction}")
        return self


class CourierManifest(CourierPart):
    """The chunks of a bundle, written after them: what is listed and absent was lost."""

    TYPE: ClassVar[str] = "courier-manifest"
    VERSION: ClassVar[int] = 1

    type: Literal["courier-manifest"] = "courier-manifest"
    version: Literal[1] = 1
    chunks: tuple[Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")], ...] = Field(max_length=2 * MOST_CHUNKS)


_Part = TypeVar("_Part", bound=CourierPart)


@dataclass(frozen=True, slots=True, order=True)
class ChunkName:
    """The name of a chunk file."""

    sequence: int
    """0..999,999,999,999, the order in which chunks are read; of records the first counter."""
    content: str
    """16 hexadecimal characters that are the same for the same messages between the same keys."""
    digest: str
    """First 16 hexadecimal characters of the file's SHA-256."""

    def __str__(self) -> str:
        return f"{self.sequence:012d}-{self.content}-{self.digest}.lcb"

    @classmethod
    def parse(cls, text: str) -> ChunkName | None:
        """Read a file name; None if it is not that of a chunk."""
        found = _NAME.fullmatch(text)
        return None if found is None else cls(int(found[1]), found[2], found[3])

    def fits(self, data: bytes) -> bool:
        """Say whether these are the bytes that were written under this name."""
        return self.digest == digest_of(data)


def digest_of(data: bytes) -> str:
    """Return the digest that stands in the name of a file with these bytes."""
    return hashlib.sha256(data).hexdigest()[:_DIGEST_CHARACTERS]


def content_of(identities: Iterable[bytes], *, writer_id: str, reader_id: str) -> str:
    """Return what a chunk's name says of its content.

    Args:
        identities: what tells the messages from others, in order; for most of them their bytes.
        writer_id: key id of who signs.
        reader_id: key id of who is to open it: sealed to another key it is another chunk.
    """
    digest = hashlib.sha256(f"{writer_id}:{reader_id}".encode())
    for identity in identities:
        digest.update(hashlib.sha256(identity).digest())
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def fleet_folder(fleet_id: str) -> str:
    """Return the name of a fleet's folder; the prefix keeps it apart from names some systems reserve, such as `con`."""
    return _FLEET + fleet_id


def terminal_folder(terminal_id: str) -> str:
    """Return the name of a terminal's folder."""
    return _TERMINAL + terminal_id


def update_file(bundle_id: str) -> str:
    """Return the name of a bundle of updates."""
    return f"{bundle_id}.bundle"


def fleet_of(folder: str) -> str | None:
    """Return the fleet whose folder this is, None if it is none."""
    return folder.removeprefix(_FLEET) if _FLEET_FOLDER.fullmatch(folder) else None


def terminal_of(folder: str) -> str | None:
    """Return the terminal whose folder this is, None if it is none."""
    return folder.removeprefix(_TERMINAL) if _TERMINAL_FOLDER.fullmatch(folder) else None


def courier_message(kind: Kind, payload: bytes) -> CourierMessage:
    """Return a message to put into a chunk.

    Raises:
        Malformed: if the payload is no compact JWS or JWE, or is too large.
    """
    try:
        return CourierMessage(kind=kind, envelope=payload.decode("ascii"))
    except (UnicodeDecodeError, ValidationError) as error:
        raise Malformed(f"{kind}: {len(payload)} bytes that no chunk can carry") from error


def split(messages: Iterable[CourierMessage]) -> Iterator[tuple[CourierMessage, ...]]:
    """Give messages in groups that fit into one chunk each; the same messages always give the same groups."""
    group: list[CourierMessage] = []
    size = 0
    for message in messages:
        if group and (len(group) == BLOCK or size + len(message.envelope) > CHUNK_BYTES):
            yield tuple(group)
            group, size = [], 0
        group.append(message)
        size += len(message.envelope)
    if group:
        yield tuple(group)


def sealed_bytes(messages: Iterable[CourierMessage]) -> int:
    """Return an upper estimate of a chunk file's size in bytes."""
    plain = sum(len(message.envelope) + _FRAME_BYTES // 8 for message in messages)
    return int(plain * _GROWTH) + _FRAME_BYTES


def close(part: CourierPart, *, sign: Callable[[bytes, str], bytes], reader: PublicJwk) -> bytes:
    """Return a chunk or manifest as it lies on the stick: signed, then sealed.

    Args:
        part: what to write.
        sign: makes a compact JWS of a payload and a `typ`.
        reader: sealing key of who is to open it.
    """
    return seal(sign(part.to_bytes(), _typ(type(part))), reader=reader)


def open_chunk(
    data: bytes, *, key: PrivateKey, key_of: Callable[[str], PublicJwk | None], address: Address
) -> CourierChunk:
    """Open a chunk file.

    Args:
        data: the file.
        key: the reader's sealing key.
        key_of: gives the writer's signing key for a key id.
        address: whose bundle it lies in.

    Raises:
        Malformed: if it is no sealed chunk.
        NotForUs: if it was sealed to another key, or belongs into another bundle.
        SignatureInvalid: if the writer did not sign it.
        UnsupportedVersion: if it was written by a newer program.
    """
    return _open(CourierChunk, data, key, key_of, address)


def open_manifest(
    data: bytes, *, key: PrivateKey, key_of: Callable[[str], PublicJwk | None], address: Address
) -> CourierManifest:
    """Open a manifest; arguments and errors as those of `open_chunk`."""
    return _open(CourierManifest, data, key, key_of, address)


def _open(
    kind: type[_Part],
    data: bytes,
    key: PrivateKey,
    key_of: Callable[[str], PublicJwk | None],
    address: Address,
) -> _Part:
    part = kind.parse(verify(unseal(data, key=key), key_of=key_of, typ=_typ(kind)).payload)
    if part.address != address:
        raise NotForUs(f"{kind.TYPE}: belongs into another folder of the stick")
    return part


def _typ(kind: type[CourierPart]) -> str:
    return CHUNK_TYP if issubclass(kind, CourierChunk) else MANIFEST_TYP
