"""The screen's server, asked over real sockets."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import date

import cv2
import numpy as np
import pytest

from device.desk.view import PhotoView, ResultView, Screen, Touch, TouchKind, View
from device.errors import ScreenUnavailable
from device.screen.server import WebScreen
from device.screen.viewfinder import LatestFrame
from device.vision.frame import Frame

IDLE = View(Screen.IDLE, "zh", line="welcome")
SESSION = View(Screen.SESSION, "zh", line="look_here", has_picture=True)


class Asked:
    """A screen that is on, and a browser's way to it."""

    def __init__(self) -> None:
        self.finder = LatestFrame()
        self.now_s = 100.0
        self.screen = WebScreen(0, self.finder, now_s=lambda: self.now_s)
        self.touches: list[Touch] = []
        self.screen.start(self.touches.append)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.screen.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", self.screen.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers["Content-Type"]
        finally:
            connection.close()

    def touch(self, found: object, content_type: str = "application/json", **headers: str) -> int:
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        return self.ask("POST", "/touch", body, Content_Type=content_type, **headers)[0]

    def listen(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.screen.port, timeout=10)
        connection.request("GET", path)
        return connection.getresponse()


@pytest.fixture
def asked() -> Iterator[Asked]:
    made = Asked()
    yield made
    made.screen.stop()
    made.screen.stop()


def test_page_and_texts_come_with_headers_that_let_nothing_else_in(asked: Asked) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", asked.screen.port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Python" not in (answer.headers["Server"] or "")
    connection.close()
    for language in ("zh", "en"):
        status, body, _ = asked.ask("GET", f"/texts/{language}.json")
        assert status == 200
        assert json.loads(body)["lines"]["welcome"]


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/.env", "/static/nothing.js", "/static/a/b.css", "/nothing", "/touch"],
)
def test_nothing_else_is_served(asked: Asked, path: str) -> None:
    assert asked.ask("GET", path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "", "localhost"])
def test_another_host_name_is_refused(asked: Asked, host: str) -> None:
    assert asked.ask("GET", "/view", Host=host)[0] == 403


def test_a_page_of_another_origin_cannot_touch(asked: Asked) -> None:
    touch = {"kind": "begin", "value": ""}
    assert asked.touch(touch, Origin="http://evil.example") == 403
    assert asked.touch(touch, content_type="text/plain") == 415
    assert asked.touch(touch, Origin=f"http://{asked.host}") == 204
    assert asked.touches == [Touch(TouchKind.BEGIN)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"kind": "shutdown"}',
        b'{"kind": 1}',
        b'{"kind": "begin", "value": 7}',
        b'{"kind": "begin", "more": 1}',
        b'{"kind": "pin", "value": "w-1/\\ud800"}',
        b"[" * 4000,
        b"\xff\xfe",
    ],
)
def test_garbage_is_told_and_touches_nothing(asked: Asked, body: bytes) -> None:
    status, said, _ = asked.ask("POST", "/touch", body, Content_Type="application/json")
    assert (status, said.count(b"\n")) == (400, 1)
    assert asked.touches == []


def test_a_touch_that_is_too_long_is_not_read(asked: Asked) -> None:
    assert asked.touch(b"x" * 9000) == 413
    assert asked.ask("POST", "/touch", b"", Content_Type="application/json", Content_Length="many")[0] == 413


def test_the_view_is_told_at_once_and_on_every_change(asked: Asked) -> None:
    assert asked.ask("GET", "/view")[0] == 404
    asked.screen.show(IDLE)
    stream = asked.listen("/events")
    assert json.loads(next_event(stream))["screen"] == "idle"
    assert asked.screen.is_watched
    asked.screen.show(SESSION)
    assert json.loads(next_event(stream))["line"] == "look_here"
    assert json.loads(asked.ask("GET", "/view")[1])["screen"] == "session"
    stream.close()


def test_a_page_that_goes_away_is_noticed(asked: Asked, eventually: Callable[..., None]) -> None:
    asked.screen.show(IDLE)
    stream = asked.listen("/events")
    next_event(stream)
    stream.close()

    def push() -> bool:
        asked.screen.show(IDLE)
        return not asked.screen.is_watched

    eventually(push, "the page to be missed")


def test_a_page_that_hangs_with_its_connection_open_is_missed_until_it_answers(
    asked: Asked, eventually: Callable[..., None]
) -> None:
    stream = asked.listen("/events")
    eventually(lambda: asked.screen.is_watched, "the page")
    asked.now_s += 11.0
    assert asked.screen.is_watched
    asked.now_s += 1.5
    assert not asked.screen.is_watched
    assert asked.ask("POST", "/here")[0] == 204
    assert asked.screen.is_watched
    stream.close()


def test_a_page_that_hangs_loses_its_streams_and_one_that_was_slow_comes_back(
    asked: Asked, eventually: Callable[..., None]
) -> None:
    asked.screen.show(SESSION)
    events, pictures = asked.listen("/events"), asked.listen("/picture.mjpg")
    next_event(events)
    eventually(lambda: asked.finder.is_watched, "the picture to be asked for")
    asked.now_s += 12.5
    # Their connections end within a heartbeat, of which a stream that stays open would give one after the other.
    assert any(not events.readline() for _ in range(9))
    assert pictures.read() == b""
    eventually(lambda: not asked.finder.is_watched, "the picture to be let go")
    assert not asked.screen.is_watched
    again = asked.listen("/events")
    assert json.loads(next_event(again))["screen"] == "session"
    assert asked.screen.is_watched
    again.close()


def test_more_touches_than_fingers_make_are_turned_away(asked: Asked) -> None:
    kinds = [asked.touch({"kind": "repeat"}) for _ in range(32)]
    assert kinds == [204] * 30 + [429] * 2
    assert len(asked.touches) == 30
    asked.now_s += 1.0
    assert asked.touch({"kind": "repeat"}) == 204


def test_a_fault_of_the_server_s_own_is_said_in_the_log_and_names_nobody(
    asked: Asked, caplog: pytest.LogCaptureFixture, eventually: Callable[..., None]
) -> None:
    def fail(_: Touch) -> None:
        raise KeyError("110101194001010018")

    asked.screen._on_touch = fail
    with pytest.raises((http.client.HTTPException, OSError)):
        asked.touch({"kind": "number", "value": "1"})
    eventually(lambda: "error=KeyError" in caplog.text, "the log")
    assert "110101194001010018" not in caplog.text


def test_the_live_picture_is_mirrored_and_only_there_in_a_session(
    asked: Asked, eventually: Callable[..., None]
) -> None:
    asked.screen.show(IDLE)
    assert asked.listen("/picture.mjpg").read() == b""
    asked.screen.show(SESSION)
    stream = asked.listen("/picture.mjpg")
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, :320] = 255
    eventually(lambda: asked.finder.is_watched, "somebody who looks")
    asked.finder.show(Frame(pixels, 1, 1))
    picture = next_picture(stream)
    assert picture.shape == (360, 480, 3)
    assert picture[180, 60].max() < 40
    assert picture[180, 420].min() > 215
    asked.finder.clear()
    asked.screen.show(IDLE)
    assert stream.read().strip() == b""


def test_a_frame_is_held_for_nobody_once_it_was_cleared() -> None:
    finder = LatestFrame()
    finder.show(Frame(np.zeros((48, 64, 3), np.uint8), 1, 1))
    assert finder.next_jpeg(0, 0.0)[1] is not None
    finder.clear()
    assert finder.next_jpeg(0, 0.0)[1] is None


def test_photo_and_slip_are_there_while_they_are_shown(asked: Asked) -> None:
    assert asked.ask("GET", "/photo.jpg")[0] == 404
    asked.screen.show_photo(b"jpeg")
    assert asked.ask("GET", "/photo.jpg")[0] == 404
    asked.screen.show(View(Screen.STEP, "zh", photo=PhotoView("taken")))
    assert asked.ask("GET", "/photo.jpg")[1:] == (b"jpeg", "image/jpeg")
    asked.screen.show_photo(None)
    assert asked.ask("GET", "/photo.jpg")[0] == 404
    asked.screen.show(View(Screen.RESULT, "zh", result=ResultView("certified", date(2027, 11, 28), "LCS1:ABC")))
    status, body, content_type = asked.ask("GET", "/slip.svg")
    assert (status, content_type, body[:4]) == (200, "image/svg+xml", b"<svg")
    asked.screen.show(IDLE)
    assert asked.ask("GET", "/slip.svg")[0] == 404


def test_a_dead_browser_never_holds_the_terminal(asked: Asked) -> None:
    asked.screen.show(SESSION)
    dead = socket.create_connection(("127.0.0.1", asked.screen.port))
    dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    dead.sendall(f"GET /events HTTP/1.1\r\nHost: {asked.host}\r\n\r\n".encode())
    big = View(Screen.STEP, "zh", line="x" * 100_000)
    done = threading.Event()

    def show() -> None:
        for _ in range(300):
            asked.screen.show(big)
        done.set()

    threading.Thread(target=show, daemon=True).start()
    assert done.wait(10)
    dead.close()


def test_too_many_connections_are_turned_away_and_room_comes_back(
    asked: Asked, eventually: Callable[..., None]
) -> None:
    asked.screen.show(IDLE)
    held = [socket.create_connection(("127.0.0.1", asked.screen.port)) for _ in range(40)]
    for one in held:
        one.close()

    def answers() -> bool:
        try:
            return asked.ask("GET", "/view")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    eventually(answers, "room for a connection")


def test_a_port_that_is_taken_is_told(asked: Asked) -> None:
    asked_port = socket.socket()
    asked_port.bind(("127.0.0.1", 0))
    asked_port.listen()
    taken = WebScreen(asked_port.getsockname()[1], LatestFrame())
    with pytest.raises(ScreenUnavailable, match="screen on 127"):
        taken.start(lambda _: None)
    asked_port.close()


def test_a_socket_that_was_passed_in_is_used() -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    port = listening.getsockname()[1]
    screen = WebScreen(8088, LatestFrame(), listening=listening)
    screen.start(lambda _: None)
    assert screen.port == port
    screen.show(IDLE)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/view")
    assert connection.getresponse().status == 200
    connection.close()
    screen.stop()


def test_a_passed_in_socket_is_used_where_the_service_may_make_none_of_the_internet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Enclosed(socket.socket):
        """What `RestrictAddressFamilies=` of the terminal's unit leaves."""

        def __init__(self, family: int = -1, *how: int, fileno: int | None = None) -> None:
            if fileno is None and family != socket.AF_UNIX:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *how, fileno=fileno)

    listening = socket.create_server(("127.0.0.1", 0))
    screen = WebScreen(8088, LatestFrame(), listening=listening)
    with monkeypatch.context() as enclosed:
        enclosed.setattr(socket, "socket", Enclosed)
        screen.start(lambda _: None)
    assert screen.port == listening.getsockname()[1]
    screen.stop()


def next_event(stream: http.client.HTTPResponse) -> bytes:
    while True:
        line = stream.readline()
        assert line, "the stream ended"
        if line.startswith(b"data: "):
            return line.removeprefix(b"data: ")


def next_picture(stream: http.client.HTTPResponse) -> np.ndarray:
    length = 0
    while (line := stream.readline().strip()) or not length:
        if line.startswith(b"Content-Length:"):
            length = int(line.split()[1])
    return cv2.imdecode(np.frombuffer(stream.read(length), np.uint8), cv2.IMREAD_COLOR)
