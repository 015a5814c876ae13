"""Sockets that systemd opened and handed to the service (sd_listen_fds(3)).

The terminal runs in a network namespace of its own (`PrivateNetwork=`) and can open no Internet socket, and yet a browser in another unit
must reach its screen. A socket belongs for ever to the namespace it was made in, and so does whatever is accepted from it: systemd opens
the port outside and passes the listening socket in.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from typing import Final

from device.errors import DeviceError

_FIRST_DESCRIPTOR: Final = 3
"""SD_LISTEN_FDS_START. Source: sd_listen_fds(3)."""


def inherited_socket(name: str, environment: Mapping[str, str] = os.environ) -> socket.socket | None:
    """Return the listening socket that was passed under this name, None when none was.

    The caller owns and closes it. Programs that are started later do not get it.

    Args:
        name: `FileDescriptorName=` of the socket unit.
        environment: where `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` are looked up.

    Raises:
        DeviceError: if it is no listening TCP socket of the loopback address: the screen shows names, and no other computer may see them.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    count = environment.get("LISTEN_FDS", "")
    if name not in names or not count.isdigit() or names.index(name) >= int(count):
        return None
    descriptor = _FIRST_DESCRIPTOR + names.index(name)
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise DeviceError(f"socket {name}: descriptor {descriptor} is no socket: {error.strerror}") from error
    found.set_inheritable(False)
    try:
        _check(name, found)
    except (DeviceError, OSError):
        found.detach()
        raise
    return found


def _check(name: str, found: socket.socket) -> None:
    is_listening = found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    address = found.getsockname()[0] if found.family in {socket.AF_INET, socket.AF_INET6} else ""
    if not is_listening or not address or not ipaddress.ip_address(address).is_loopback:
        raise DeviceError(
            f"socket {name}: a listening TCP socket of the loopback address expected, found one of {address or found.family.name}; "
            "see ListenStream= of the socket unit"
        )
