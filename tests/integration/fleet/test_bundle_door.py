"""A terminal fetches a bundle through the fleet's door: real HTTPS, single ranges, going on after a cut, nothing by guessing."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from demo.processes import free_port
from fleet.api.provisioning import provisioning_app
from fleet.pki.authority import issue_server
from fleet.pki.files import ROOT, make_authority, write, write_key
from fleet.service import WebServer
from fleet.store.database import Database
from fleet.updates.bundles import bundle_folder
from protocol.desired import BUNDLE_PATH
from protocol.provisioning import JOIN_PATH
from protocol.trust import client_context, root_in

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]
BUNDLE = "a1" * 32
CONTENT = bytes(range(256)) * 1200
TAG = f'"{BUNDLE}"'


class Door:
    """The door, and how a terminal asks at it."""

    def __init__(self, port: int, context: ssl.SSLContext, file: Path) -> None:
        self.port = port
        self.context = context
        self.file = file

    def begin(self, bundle_id: str = BUNDLE, **headers: str) -> tuple[http.client.HTTPSConnection, Any]:
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.context)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"{BUNDLE_PATH}/{bundle_id}", headers=given)
        return connection, connection.getresponse()

    def ask(self, bundle_id: str = BUNDLE, **headers: str) -> tuple[Any, bytes]:
        connection, answer = self.begin(bundle_id, **headers)
        body = answer.read()
        connection.close()
        return answer, body


@pytest.fixture
def door(office: Any, tmp_path: Path) -> Iterator[Door]:
    """A door whose database is gone; terminals fetch all the same."""
    provisioning = office.settings.provisioning.model_copy(
        update={"wrong_codes_per_minute": 5, "downloads_per_address": 2}
    )
    settings = office.settings.model_copy(update={"data_dir": tmp_path, "provisioning": provisioning})
    folder = bundle_folder(tmp_path)
    folder.mkdir()
    (folder / f"{BUNDLE}.bundle").write_bytes(CONTENT)
    (folder / "secret.txt").write_bytes(b"not for anybody")
    now = datetime.fromtimestamp(time.time(), UTC)
    issuing = make_authority(tmp_path / "pki", "north", now=now)
    key = ec.generate_private_key(ec.SECP256R1())
    write_key(tmp_path / "door.key", key)
    write(tmp_path / "door.pem", issue_server(issuing, ["localhost"], key.public_key(), now=now).chain)
    gone = Database("postgresql://nobody@127.0.0.1:1/nothing")
    app = provisioning_app(gone, office.keys, settings, issuing, clock=office.clock)
    port = free_port()
    server = WebServer(app, "127.0.0.1", port, certificate=(tmp_path / "door.pem", tmp_path / "door.key"))
    server.start()
    root = (tmp_path / "pki" / ROOT).read_text()
    yield Door(port, client_context([root_in(root)], now=now), folder / f"{BUNDLE}.bundle")
    server.stop()
    gone.close()


def test_the_whole_bundle_and_every_range_of_it(door: Door) -> None:
    answer, body = door.ask()
    assert (answer.status, body) == (200, CONTENT)
    assert answer.headers["etag"] == TAG
    assert answer.headers["accept-ranges"] == "bytes"
    size = len(CONTENT)
    for given, first, end in (("0-99", 0, 100), (f"{size - 5}-", size - 5, size), ("-7", size - 7, size)):
        answer, body = door.ask(Range=f"bytes={given}")
        assert (answer.status, body) == (206, CONTENT[first:end])
        assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
    # Cut off and gone on with, it is the same file; of another one all is sent.
    _, rest = door.ask(Range="bytes=1000-", If_Range=TAG)
    assert CONTENT[:1000] + rest == CONTENT
    answer, body = door.ask(Range="bytes=1000-", If_Range='"another"')
    assert (answer.status, len(body)) == (200, size)
    answer, _ = door.ask(Range=f"bytes={size}-")
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize("name", ["f0" * 32, "secret.txt", "A1" * 32, BUNDLE[:16]])
def test_nothing_is_found_by_guessing_and_who_asks_for_what_is_gone_shuts_nobody_out(door: Door, name: str) -> None:
    assert [door.ask(name)[0].status for _ in range(6)] == [404] * 6
    # The others behind the same router go on: with what is there, and with their claims (this one is not even read).
    assert door.ask()[0].status == 200
    connection = http.client.HTTPSConnection("localhost", door.port, timeout=20, context=door.context)
    connection.request("POST", JOIN_PATH, body=b"no claim")
    assert connection.getresponse().status == 422
    connection.close()
    assert door.ask("..%2Fdoor.key")[0].status == 404


def test_an_address_fetches_only_so_many_at_a_time(door: Door, eventually: Any) -> None:
    door.file.write_bytes(b"x" * 64 * 1024 * 1024)
    held = [door.begin() for _ in range(2)]
    answer, body = door.ask()
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    assert b"too_many_downloads" in body
    # One that hangs up leaves its place.
    held[0][1].close()
    held[0][0].close()
    eventually(lambda: door.ask(Range="bytes=0-1")[0].status == 206, "a free place")
    held[1][0].close()


def test_several_at_once_get_the_same_bytes(door: Door) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(door.ask()[1])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT, CONTENT]
