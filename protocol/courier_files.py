"""The bundles of a courier stick as folders of files: finding them, adding to them, opening them. Their content: `protocol.courier`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from protocol.courier import (
    MANIFEST,
    MAX_CHUNK_BYTES,
    MOST_CHUNKS,
    ROOT,
    UPDATES,
    Address,
    ChunkName,
    CourierChunk,
    CourierManifest,
    CourierMessage,
    close,
    content_of,
    digest_of,
    fleet_folder,
    fleet_of,
    open_chunk,
    open_manifest,
    terminal_folder,
    terminal_of,
)
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid, UnsupportedVersion
from protocol.keys import PrivateKey, PublicJwk
from protocol.stick import Folder, StickFailed, StickFault


def find_bundle(root: Folder, address: Address) -> Folder | None:
    """Return the folder of a bundle on a stick, None if it carries none.

    Raises:
        StickFailed: foreign, if the stick carries another fleet's data and none of this one.
    """
    refuse_foreign(root, address.fleet_id)
    return _down(root, [ROOT, fleet_folder(address.fleet_id), terminal_folder(address.terminal_id), address.bundle])


def find_updates(root: Folder, fleet_id: str) -> Folder | None:
    """Return the folder with a fleet's bundles of updates on a stick, None if it carries none; errors as those of `find_bundle`."""
    refuse_foreign(root, fleet_id)
    return _down(root, [ROOT, fleet_folder(fleet_id), UPDATES])


def make_bundle(root: Folder, address: Address) -> Folder:
    """Return the folder of a bundle on a stick, made if there is none; errors as those of `find_bundle`."""
    refuse_foreign(root, address.fleet_id)
    found = root
    for name in (ROOT, fleet_folder(address.fleet_id), terminal_folder(address.terminal_id), address.bundle):
        above, found = found, found.make_folder(name)
        if above is not root:
            above.close()
    return found


def terminals_on(root: Folder, fleet_id: str) -> list[str]:
    """Return the terminals of a fleet that have a folder on a stick, sorted; errors as those of `find_bundle`."""
    refuse_foreign(root, fleet_id)
    fleet = _down(root, [ROOT, fleet_folder(fleet_id)])
    if fleet is None:
        return []
    with fleet:
        return [name for name in map(terminal_of, fleet.names()) if name is not None]


def refuse_foreign(root: Folder, fleet_id: str) -> None:
    """Do nothing on a stick that is new or carries data of this fleet.

    Raises:
        StickFailed: foreign, if it carries another fleet's data and none of this one.
    """
    shared = _down(root, [ROOT])
    if shared is None:
        return
    with shared:
        fleets = {name for name in map(fleet_of, shared.names()) if name is not None}
    if fleets and fleet_id not in fleets:
        raise StickFailed(
            StickFault.FOREIGN,
            f"stick: belongs to fleet {', '.join(sorted(fleets))}, this is fleet {fleet_id}; nothing was changed: take another stick",
        )


class ProblemKind(StrEnum):
    """What is wrong with a file of a bundle."""

    DAMAGED = "damaged"
    """Not the bytes that were written, or bytes the stick does not give back."""
    FOREIGN = "foreign"
    """Sealed to another reader, or moved here from another folder."""
    FORGED = "forged"
    """Not signed by whom it would have to be."""
    UNSUPPORTED = "unsupported"
    """Written by a newer program."""
    MISSING = "missing"
    """Listed in the manifest and not there."""
    UNFINISHED = "unfinished"
    """Chunks without a manifest: whoever wrote them was interrupted."""
    NO_ROOM = "no_room"
    """Of updates: right, and there is no room for it here."""
    INVALID = "invalid"
    """Opened, and some message in it is not what it has to be."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that does not count; the others do."""

    name: str
    kind: ProblemKind


class BundleWriter:
    """Adds chunks to a bundle; after an interruption it goes on where it was.

    Args:
        folder: the bundle's folder.
        address: whose it is.
        sign: makes a compact JWS of a payload and a `typ`.
        writer_id: key id of the signing key.
        reader: sealing key of who is to read it.
        made_at: stands in everything that is written.
        progress: called with the number of files checked and their total, while what is there is looked through.

    Raises:
        StickFailed: as every method.
    """

    def __init__(
        self,
        folder: Folder,
        address: Address,
        *,
        sign: Callable[[bytes, str], bytes],
        writer_id: str,
        reader: PublicJwk,
        made_at: datetime,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._folder = folder
        self._address = address
        self._sign = sign
        self._writer_id = writer_id
        self._reader = reader
        self._reader_id = reader.key_id
        self._made_at = made_at
        self._whole: dict[str, ChunkName] = {}
        self._damaged: list[str] = []
        """Files that nobody can open, whatever key he has; what the stick did not give back is not among them."""
        self._put: set[str] = set()
        self._look_through(progress)

    @property
    def chunks(self) -> int:
        """Number of whole chunks that are there."""
        return len(self._whole)

    @property
    def next_sequence(self) -> int:
        """A number after those of all chunks that are there."""
        return max((name.sequence for name in self._whole.values()), default=-1) + 1

    def content(self, identities: Sequence[bytes]) -> str:
        """Return what the name of a chunk says of these messages."""
        return content_of(identities, writer_id=self._writer_id, reader_id=self._reader_id)

    def has(self, content: str) -> bool:
        """Say whether a whole chunk with this content is there."""
        return content in self._whole

    def put(self, sequence: int, content: str, messages: Sequence[CourierMessage]) -> bool:
        """Write a chunk; return False if it is there already."""
        self._put.add(content)
        if content in self._whole:
            return False
        chunk = CourierChunk(
            fleet_id=self._address.fleet_id,
            terminal_id=self._address.terminal_id,
            bundle=self._address.bundle,
            made_at=self._made_at,
            messages=tuple(messages),
        )
        data = close(chunk, sign=self._sign, reader=self._reader)
        name = ChunkName(sequence, content, digest_of(data))
        self._folder.write(str(name), data)
        self._whole[content] = name
        return True

    def finish(self, *, is_replaced: Callable[[ChunkName], bool] = lambda _name: False) -> None:
        """Write the manifest, then remove what nobody can open any more.

        Args:
            is_replaced: says of a chunk that was not put by this writer whether it is to go, too.
        """
        before = self._whole
        self._whole = {
            content: name for content, name in before.items() if content in self._put or not is_replaced(name)
        }
        manifest = CourierManifest(
            fleet_id=self._address.fleet_id,
            terminal_id=self._address.terminal_id,
            bundle=self._address.bundle,
            made_at=self._made_at,
            chunks=tuple(sorted(map(str, self._whole.values())))[: 2 * MOST_CHUNKS],
        )
        self._folder.write(MANIFEST, close(manifest, sign=self._sign, reader=self._reader))
        replaced = [str(name) for content, name in before.items() if content not in self._whole]
        self._folder.remove([*self._damaged, *replaced])
        self._damaged.clear()

    def _look_through(self, progress: Callable[[int, int], None]) -> None:
        names = _chunks_in(self._folder)
        for done, name in enumerate(names):
            progress(done, len(names))
            data = self._folder.read(str(name), MAX_CHUNK_BYTES)
            if data is None:
                continue
            if name.fits(data):
                self._whole[name.content] = name
            else:
                self._damaged.append(str(name))


class BundleReader:
    """Opens the chunks of a bundle in order, whatever else may be in its folder.

    Args:
        folder: the bundle's folder.
        address: whose it is.
        key: the reader's sealing key.
        key_of: gives the writer's signing key for a key id.

    Raises:
        StickFailed: as every method.
    """

    def __init__(
        self, folder: Folder, address: Address, *, key: PrivateKey, key_of: Callable[[str], PublicJwk | None]
    ) -> None:
        self._folder = folder
        self._address = address
        self._key = key
        self._key_of = key_of
        self.names = _chunks_in(folder)

    def open(self, name: ChunkName) -> CourierChunk | Problem:
        """Return a chunk, or why it does not count."""
        data = self._folder.read(str(name), MAX_CHUNK_BYTES)
        if data is None or not name.fits(data):
            return Problem(str(name), ProblemKind.DAMAGED)
        try:
            return open_chunk(data, key=self._key, key_of=self._key_of, address=self._address)
        except ProtocolError as error:
            return Problem(str(name), _kind_of(error))

    def whole(self) -> list[Problem]:
        """Return what the manifest tells of chunks that are not there; empty if nothing is missing."""
        if not self.names:
            return []
        data = self._folder.read(MANIFEST, MAX_CHUNK_BYTES) if MANIFEST in self._folder.names() else None
        if data is None:
            return [Problem(MANIFEST, ProblemKind.UNFINISHED)]
        try:
            manifest = open_manifest(data, key=self._key, key_of=self._key_of, address=self._address)
        except ProtocolError as error:
            return [Problem(MANIFEST, _kind_of(error))]
        present = set(map(str, self.names))
        return [Problem(name, ProblemKind.MISSING) for name in manifest.chunks if name not in present]

    def remove(self, taken: Sequence[ChunkName]) -> None:
        """Remove chunks that were taken in, and the manifest, which lists them."""
        self._folder.remove([*map(str, taken), MANIFEST])


def _down(root: Folder, names: Sequence[str]) -> Folder | None:
    above = root
    for name in names:
        found = above.folder(name)
        if above is not root:
            above.close()
        if found is None:
            return None
        above = found
    return above


def _chunks_in(folder: Folder) -> list[ChunkName]:
    return sorted(name for text in folder.names() if (name := ChunkName.parse(text)) is not None)


def _kind_of(error: ProtocolError) -> ProblemKind:
    if isinstance(error, NotForUs):
        return ProblemKind.FOREIGN
    if isinstance(error, SignatureInvalid):
        return ProblemKind.FORGED
    if isinstance(error, UnsupportedVersion):
        return ProblemKind.UNSUPPORTED
    return ProblemKind.DAMAGED if isinstance(error, Malformed) else ProblemKind.FOREIGN
