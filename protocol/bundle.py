"""Bundles: what changes a terminal's programs, networks and voices, as one signed file that is whole or nothing.

A bundle is a head line, a signed manifest, and the bytes of the manifest's files one after the other, without compression, padding or
names of their own. Nothing in it can say where it goes but the manifest, and nothing is read that the manifest does not count, so that
there is no path, link or archive to be fooled by. The manifest is signed by a release key, which is kept apart from the fleet's server
(docs/decisions/0016).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, BinaryIO, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from protocol import base64url
from protocol.envelope import sign, verify
from protocol.errors import Expired, Malformed, SignatureInvalid
from protocol.ids import Sha256
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import UtcTime, WireMessage, WirePart

BUNDLE_TYP = "lifecert-bundle"
MAX_BUNDLE_BYTES = 512 * 1024 * 1024
"""Largest bundle: half of what the smallest card with two slots has to spare (docs/image.md)."""
MOST_FILES = 4096
CHUNK_BYTES = 1024 * 1024
_HEAD = re.compile(rb"lifecert-bundle 1 ([1-9][0-9]{0,6})\n")
_MOST_HEAD = 32
_PART = r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}"

FileName = Annotated[str, StringConstraints(pattern=rf"^{_PART}(/{_PART}){{0,7}}$", max_length=240)]
"""A relative path of plain parts, none of which begins with a dot."""
KeyOf = Callable[[str], PublicJwk | None]
"""Gives the release key of a key id, or None."""
Machine = Literal["any", "aarch64", "x86_64"]
Label = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")]


class BundleKind(StrEnum):
    """What a bundle changes; each kind has slots of its own on the terminal."""

    APP = "app"
    """The terminal's programs as wheels, with what they need."""
    NETWORKS = "networks"
    VOICES = "voices"


class BundleFile(WirePart):
    """One file."""

    name: FileName
    size: int = Field(ge=0, le=MAX_BUNDLE_BYTES)
    """In bytes."""
    sha256: Sha256


class Needs(WirePart):
    """What must run before this may."""

    kind: BundleKind
    number: int = Field(ge=1)
    """The least number of that kind's bundle."""


class BundleManifest(WireMessage):
    """What is in a bundle and for whom."""

    TYPE: ClassVar[str] = "bundle"
    VERSION: ClassVar[int] = 1

    type: Literal["bundle"] = "bundle"
    version: Literal[1] = 1
    kind: BundleKind
    label: Label
    """What people call it, such as 1.4.0."""
    number: int = Field(ge=1)
    """Of two bundles of a kind the one with the larger number is the newer."""
    floor: int = Field(ge=1)
    """Once this one runs for good, none of its kind below this number is taken any more."""
    machine: Machine = "any"
    python: Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")] | None = None
    """The Python it is made for; None where it makes no difference."""
    needs: tuple[Needs, ...] = Field(default=(), max_length=len(BundleKind))
    made_at: UtcTime
    expires_at: UtcTime
    """Not taken from then on; what runs by then goes on running."""
    files: tuple[BundleFile, ...] = Field(min_length=1, max_length=MOST_FILES)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.floor > self.number:
            raise ValueError("floor: above the bundle's own number")
        if self.expires_at <= self.made_at:
            raise ValueError("expires_at: not after made_at")
        if sum(each.size for each in self.files) > MAX_BUNDLE_BYTES:
            raise ValueError("files: too large together")
        if len({each.kind for each in self.needs}) < len(self.needs):
            raise ValueError("needs: one kind twice")
        _check_names([each.name for each in self.files])
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest is signed by somebody who may; its files are not checked yet."""

    manifest: BundleManifest
    bundle_id: str
    """SHA-256 of the manifest as it was signed: the same for every copy."""
    token: bytes
    """The signed manifest, to be kept beside what was unpacked."""
    start: int
    """Where the first file begins, in bytes."""

    @property
    def size(self) -> int:
        """Bytes of the whole bundle."""
        return self.start + sum(each.size for each in self.manifest.files)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bundle is to go."""

    machine: str
    """As `platform.machine()` says."""
    python: str
    """Such as 3.11."""
    running: dict[BundleKind, int]
    """The numbers of what runs."""
    floors: dict[BundleKind, int]
    """No bundle below these is taken."""
    now: datetime | None
    """None where the clock is not to be trusted: then an end of validity is not looked at, since a clock that stands at its
    beginning must not keep a terminal from ever being mended, and the floor keeps old ones out."""


def write_bundle(
    target: BinaryIO, manifest: BundleManifest, contents: Iterable[BinaryIO], *, key: PrivateKey
) -> Bundle:
    """Write a bundle.

    Args:
        target: where to; at its beginning.
        manifest: what it says.
        contents: the files, in the manifest's order.
        key: the release key.

    Raises:
        Malformed: if a file is not what the manifest says of it.
    """
    payload = manifest.to_bytes()
    token = sign(payload, key=key, typ=BUNDLE_TYP)
    head = b"lifecert-bundle 1 %d\n" % len(token)
    target.write(head + token)
    for expected, source in zip(manifest.files, contents, strict=True):
        for chunk in checked(source, expected):
            target.write(chunk)
    return Bundle(manifest, hashlib.sha256(payload).hexdigest(), token, len(head) + len(token))


def read_bundle(source: BinaryIO, *, key_of: KeyOf) -> Bundle:
    """Read the head of a bundle and check who signed it; `source` is then at its first file.

    Args:
        source: the bundle, at its beginning.
        key_of: gives the release key of a key id, or None.

    Raises:
        Malformed: if it is none.
        SignatureInvalid: if nobody who may has signed it.
        UnsupportedVersion: if it is of a later format.
    """
    line = source.readline(_MOST_HEAD)
    found = _HEAD.fullmatch(line)
    if found is None:
        raise Malformed("bundle: not a Lifecert bundle", code="not_a_bundle")
    length = int(found[1])
    token = source.read(length)
    if len(token) != length:
        raise Malformed("bundle: ends within its manifest", code="cut_short")
    bundle = read_manifest(token, key_of=key_of)
    return Bundle(bundle.manifest, bundle.bundle_id, token, len(line) + length)


def read_manifest(token: bytes, *, key_of: KeyOf) -> Bundle:
    """Check a signed manifest that was kept beside what was unpacked.

    Raises:
        ProtocolError: as `read_bundle`.
    """
    verified = verify(token, key_of=key_of, typ=BUNDLE_TYP)
    # Decoders pass over the unused bits of the last character: one bundle would have several forms.
    signature = token.rpartition(b".")[2].decode()
    if base64url.encode(base64url.decode(signature)) != signature:
        raise SignatureInvalid("bundle: its signature is not written as it should be", code="not_a_bundle")
    manifest = BundleManifest.parse(verified.payload)
    return Bundle(manifest, hashlib.sha256(verified.payload).hexdigest(), token, 0)


def check_files(source: BinaryIO, bundle: Bundle) -> None:
    """Check every file of a bundle, and that nothing comes after them; `source` is at the first.

    Raises:
        Malformed: if one is not what the manifest says, or something follows.
    """
    for expected in bundle.manifest.files:
        for _ in checked(source, expected):
            pass
    check_end(source)


def check_end(source: BinaryIO) -> None:
    """Check that nothing comes after the last file.

    Raises:
        Malformed: if something does.
    """
    if source.read(1):
        raise Malformed("bundle: something follows its last file", code="too_long")


def checked(source: BinaryIO, expected: BundleFile) -> Iterator[bytes]:
    """Give one file's bytes in chunks; only after the last of them it is known to be the right file.

    Raises:
        Malformed: if it is too short or another file.
    """
    digest = hashlib.sha256()
    left = expected.size
    while left:
        chunk = source.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise Malformed(f"bundle: ends within {expected.name}", code="cut_short")
        digest.update(chunk)
        left -= len(chunk)
        yield chunk
    if digest.hexdigest() != expected.sha256:
        raise Malformed(f"bundle: {expected.name} is not the file that was signed", code="other_file")


def check_place(manifest: BundleManifest, place: Place) -> None:
    """Check that a bundle may go where it is to go.

    Raises:
        Malformed: if it is for something else, older than what is still taken, or needs what does not run.
        Expired: if its time is over.
    """
    kind = manifest.kind
    if manifest.machine not in ("any", place.machine):
        raise Malformed(
            f"bundle: for {manifest.machine}, this is {place.machine}",
            code="other_machine",
            wanted=manifest.machine,
            found=place.machine,
        )
    if manifest.python not in (None, place.python):
        raise Malformed(
            f"bundle: for Python {manifest.python}, this has {place.python}",
            code="other_python",
            wanted=manifest.python,
            found=place.python,
        )
    floor = place.floors.get(kind, 0)
    if manifest.number < floor:
        raise Malformed(
            f"bundle: number {manifest.number}, none below {floor} is taken", code="too_old", number=manifest.number
        )
    for each in manifest.needs:
        if place.running.get(each.kind, 0) < each.number:
            raise Malformed(
                f"bundle: needs {each.kind} {each.number}, {place.running.get(each.kind, 0)} runs",
                code="needs_newer",
                what=each.kind,
                number=each.number,
            )
    if place.now is not None and place.now >= manifest.expires_at:
        raise Expired(f"bundle: expired at {manifest.expires_at.isoformat()}", code="expired")


def _check_names(names: list[str]) -> None:
    # A card may be read on a computer that takes two names for one that differ in case only.
    folded = [name.casefold() for name in names]
    if len(set(folded)) < len(folded):
        raise ValueError("files: one name twice")
    folders = {
        "/".join(parts[:length]) for parts in (name.split("/") for name in folded) for length in range(1, len(parts))
    }
    if folders.intersection(folded):
        raise ValueError("files: a name is a file and a folder")
