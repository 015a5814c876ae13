"""The shelf as whoever brings a bundle by hand sees it: what is wanted and lacks, and a way in that checks all of it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

from device.errors import UpdatesUnavailable
from device.ports import Clock, DesiredStore
from device.settings import Settings
from device.updates.desired import FileDesiredStore, checker
from device.updates.fetching import place_for
from device.updates.in_force import lacking
from device.updates.place import place_of
from device.updates.release_keys import release_keys
from device.updates.shelf import Shelf
from protocol.bundle import Place
from protocol.desired import DesiredBundle
from protocol.errors import Malformed
from protocol.keys import PublicJwk


class Stock:
    """See `device.ports.UpdateShelf`.

    Args:
        settings: where the slots are.
        desired: what the office wants.
        shelf: where bundles lie.
        place: this terminal.
    """

    def __init__(self, settings: Settings, desired: DesiredStore, shelf: Shelf, *, place: Callable[[], Place]) -> None:
        self._settings = settings
        self._desired = desired
        self._shelf = shelf
        self._place = place

    def lacking(self) -> tuple[DesiredBundle, ...]:
        """Return what is wanted and not here."""
        desired = self._desired.current()
        if desired is None:
            return ()
        return tuple(want for want in lacking(self._settings, desired) if not self._shelf.is_whole(want))

    def put(self, want: DesiredBundle, pieces: Iterable[bytes]) -> None:
        """Take a bundle in."""
        desired = self._desired.current()
        if desired is None:
            return
        path = self._shelf.coming(want)
        try:
            if not self._shelf.has_room(want):
                raise UpdatesUnavailable(f"bundle: no room for {want.size} bytes")
            size = 0
            with path.open("wb") as file:
                for piece in pieces:
                    size += len(piece)
                    if size > want.size:
                        raise Malformed("bundle: longer than it must be", code="too_long")
                    file.write(piece)
            self._shelf.finish(path, want, place_for(desired, self._place()))
        except OSError as error:
            raise UpdatesUnavailable(f"bundle: {error.strerror or errno.errorcode.get(error.errno or 0)}") from error
        finally:
            path.unlink(missing_ok=True)


def desired_store(settings: Settings, fleet_key: PublicJwk) -> FileDesiredStore:
    """Return where it is kept what the office wants.

    Args:
        settings: of the terminal's file: what is over them must fit them.
        fleet_key: the fleet's public signing key.
    """
    return FileDesiredStore(
        settings.desired_path,
        fleet_key,
        fleet_id=settings.terminal.fleet_id,
        terminal_id=settings.terminal.terminal_id,
        check=checker(settings),
    )


def shelf_of(settings: Settings) -> Shelf:
    """Return where bundles lie on their way."""
    return Shelf(
        settings.updates_dir,
        spare_bytes=settings.updates.spare_bytes,
        key_of=release_keys(settings.updates.release_keys),
    )


def stock(settings: Settings, desired: DesiredStore, clock: Clock) -> Stock:
    """Return the way in for bundles that somebody brings."""
    return Stock(settings, desired, shelf_of(settings), place=lambda: place_of(settings, clock.now()))
