"""Serves the screen's page to the kiosk browser on this machine, and to nobody else.

One browser, loopback, a handful of routes: the standard library's server with a thread for each connection is enough, and costs no
memory to speak of (docs/decisions/0013-the-screen-is-a-local-page.md). The page is told of every change by Server-Sent Events. However
slow or dead a browser is, the terminal never waits: it leaves the newest view and goes on.
"""

from __future__ import annotations

import json
import logging
import select
import socket
import sys
import threading
import time
import tomllib
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from device.desk.view import Touch, TouchKind, View
from device.errors import ScreenUnavailable
from device.lines import load_lines
from device.screen.viewfinder import LatestFrame
from device.slip_picture import code_svg

logger = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
_MOST_CONNECTIONS = 24
"""A browser opens six to one host; a page that is loaded anew may leave as many behind for a moment."""
_LARGEST_TOUCH = 8192
"""The longest text that can be touched in is a reference card's, under 1,500 characters."""
_HEARTBEAT_S = 3.0
"""So often a page hears that the terminal is there, and answers."""
_UNHEARD_S = 4 * _HEARTBEAT_S
"""A page that has not answered for so long hangs, keeps its connections open, and what is sent to it fills a buffer for an hour. Its
streams are ended: the kiosk (`systemd/lifecert-kiosk`) counts no page and starts the browser anew. One that was only slow comes back."""
_MOST_TOUCHES = 30
"""In a second. Ten fingers manage fewer; a glass that a drop of water lies on, or a browser gone mad, does not."""
_SOCKET_TIMEOUT_S = 15.0
_FRAME_TIMEOUT_S = 2.0
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LANGUAGES = ("zh", "en")


class WebScreen:
    """See `device.ports.DeskScreen`.

    Args:
        port: to listen on, on the loopback address; 0 takes a free one.
        viewfinder: the live picture.
        listening: a listening socket of systemd's, used in place of the port; this class closes it.
        now_s: reads a clock that never goes back.
    """

    def __init__(
        self,
        port: int,
        viewfinder: LatestFrame,
        *,
        listening: socket.socket | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._listening = listening
        self._viewfinder = viewfinder
        self._changed = threading.Condition()
        self._view: View | None = None
        self._serial = 0
        self._photo: bytes | None = None
        self._streams = 0
        self._now_s = now_s
        self._heard_s = now_s()
        self._touched_s: deque[float] = deque(maxlen=_MOST_TOUCHES)
        self._on_touch: Callable[[Touch], None] = lambda _: None
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 before `start` where any port will do."""
        return self._port

    @property
    def is_watched(self) -> bool:
        """Whether a page is connected and has answered of late."""
        return self._streams > 0 and self.is_heard

    def start(self, on_touch: Callable[[Touch], None]) -> None:
        """Listen.

        Raises:
            ScreenUnavailable: if the port is taken.
        """
        self._on_touch = on_touch
        try:
            self._server = _Server(self, self._port, self._listening)
        except OSError as error:
            raise ScreenUnavailable(f"screen on {HOST}:{self._port}: {error.strerror}") from error
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="screen", daemon=True).start()
        logger.info("screen on port=%d", self._port)

    def show(self, view: View) -> None:
        """Show a view."""
        with self._changed:
            self._view = view
            self._serial += 1
            self._changed.notify_all()

    def show_photo(self, jpeg: bytes | None) -> None:
        """Offer the picture that was taken, or take it away."""
        self._photo = jpeg

    def stop(self) -> None:
        """Listen no more; may be called twice."""
        server, self._server = self._server, None
        if server is not None:
            with self._changed:
                self._view, self._photo = None, None
                self._serial += 1
                self._changed.notify_all()
            server.is_stopping = True
            server.shutdown()
            server.server_close()

    # For the connections

    @property
    def viewfinder(self) -> LatestFrame:
        """The live picture."""
        return self._viewfinder

    @property
    def photo(self) -> bytes | None:
        """The picture that was taken, while the operator looks at it."""
        view = self._view
        return self._photo if view is not None and view.photo is not None and view.photo.state == "taken" else None

    @property
    def view(self) -> View | None:
        """What is shown; None before the first view."""
        return self._view

    def touch(self, touch: Touch) -> bool:
        """Hand on a touch; return False for one too many."""
        now_s = self._now_s()
        with self._changed:
            if len(self._touched_s) == _MOST_TOUCHES and now_s - self._touched_s[0] < 1.0:
                return False
            self._touched_s.append(now_s)
        self._on_touch(touch)
        return True

    @property
    def is_heard(self) -> bool:
        """Whether a page has come or answered of late; who is not gets nothing more."""
        return self._now_s() - self._heard_s < _UNHEARD_S

    def hear(self) -> None:
        """Note that the page is alive."""
        self._heard_s = self._now_s()

    def wait_for_change(self, after: int, timeout_s: float) -> tuple[int, View | None]:
        """Return number and newest view once there is one after `after`, or the same after so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._serial > after, timeout_s)
            return self._serial, self._view

    def count_stream(self, step: int) -> None:
        """Count an open event stream in or out; one that comes is a sign of life, one that ends is none."""
        if step > 0:
            self.hear()
        with self._changed:
            self._streams += step


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, screen: WebScreen, port: int, listening: socket.socket | None) -> None:
        self.screen = screen
        self.is_stopping = False
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        if listening is not None:
            # The library makes a socket in any case, and the terminal's unit may make none of the Internet.
            self.address_family = socket.AF_UNIX
        super().__init__((HOST, port), _Connection, bind_and_activate=listening is None)
        if listening is not None:
            self.socket.close()
            self.socket = listening
            self.address_family = listening.family
            self.server_address = listening.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, unless there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """A browser that went away is no error; anything else is said in the log without what was sent."""
        kind, error, _ = sys.exc_info()
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
        logger.log(level, "screen connection ended error=%s", kind.__name__ if kind is not None else None)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SOCKET_TIMEOUT_S
    server: _Server

    def version_string(self) -> str:
        """Say nothing about versions."""
        return "lifecert"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Paths and touches may say something about people: nothing of them is logged."""

    def do_GET(self) -> None:
        """Answer a question."""
        if not self._is_ours():
            return
        path = urlsplit(self.path).path
        routes: dict[str, Callable[[], None]] = {
            "/": lambda: self._send_file("index.html"),
            "/view": self._send_view,
            "/events": self._send_events,
            "/picture.mjpg": self._send_picture,
            "/photo.jpg": lambda: self._send_if(self.server.screen.photo, "image/jpeg"),
            "/slip.svg": self._send_slip,
            **{f"/texts/{language}.json": _texts_sender(self, language) for language in LANGUAGES},
        }
        if path in routes:
            routes[path]()
        elif path.startswith("/static/"):
            self._send_file(path.removeprefix("/static/"))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "no such page")

    def do_POST(self) -> None:
        """Take a touch, or a sign of life."""
        if not self._is_ours():
            return
        if urlsplit(self.path).path == "/here":
            self.server.screen.hear()
            self._accept()
            return
        if urlsplit(self.path).path != "/touch":
            self._refuse(HTTPStatus.NOT_FOUND, "no such page")
            return
        # A page of another origin cannot send this type without asking first, and is then refused.
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "application/json expected")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST_TOUCH:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a touch of at most {_LARGEST_TOUCH} bytes expected")
            return
        touch = _touch(self.rfile.read(int(length)))
        if touch is None:
            self._refuse(HTTPStatus.BAD_REQUEST, 'a touch is {"kind": one of the kinds, "value": text}')
            return
        if not self.server.screen.touch(touch):
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, f"more than {_MOST_TOUCHES} touches in a second")
            return
        self._accept()

    def _accept(self) -> None:
        self.send_response(HTTPStatus.NO_CONTENT)
        self._end()

    def _is_ours(self) -> bool:
        """Refuse what a page of another host in the same browser sends (DNS rebinding, cross-site requests)."""
        port = self.server.screen.port
        hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in hosts or (
            origin is not None and origin not in {f"http://{h}" for h in hosts}
        ):
            self._refuse(HTTPStatus.FORBIDDEN, "this page is for the browser of this machine alone")
            return False
        return True

    def _send_file(self, name: str) -> None:
        found = _static(name)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND, "no such file")
        else:
            self._send(found, _TYPES[name.rpartition(".")[2]])

    def _send_view(self) -> None:
        view = self.server.screen.view
        self._send_if(None if view is None else _json(view), "application/json")

    def _send_slip(self) -> None:
        view = self.server.screen.view
        slip = view.result.slip if view is not None and view.result is not None else None
        self._send_if(None if slip is None else code_svg(slip).encode(), _TYPES["svg"])

    def _send_events(self) -> None:
        screen = self.server.screen
        self._begin_stream("text/event-stream; charset=utf-8")
        screen.count_stream(1)
        seen = 0
        try:
            while not self.server.is_stopping:
                serial, view = screen.wait_for_change(seen, _HEARTBEAT_S)
                if not screen.is_heard:
                    return
                if serial > seen and view is not None:
                    self.wfile.write(b"data: " + _json(view) + b"\n\n")
                else:
                    self.wfile.write(b": here\n\n")
                seen = serial
        except OSError:
            pass
        finally:
            screen.count_stream(-1)

    def _send_picture(self) -> None:
        finder = self.server.screen.viewfinder
        self._begin_stream("multipart/x-mixed-replace; boundary=frame")
        finder.watch()
        seen = 0
        try:
            while not self.server.is_stopping:
                view = self.server.screen.view
                if view is None or not view.has_picture or not self.server.screen.is_heard:
                    return
                seen, jpeg = finder.next_jpeg(seen, _FRAME_TIMEOUT_S)
                if jpeg is not None:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                elif self._is_left():
                    return
        except OSError:
            pass
        finally:
            finder.unwatch()

    def _is_left(self) -> bool:
        """Say whether the page has closed the connection, which nobody notices who has nothing to write."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _begin_stream(self, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        # Its end is the end of the connection.
        self.send_header("Connection", "close")
        self._end()
        self.close_connection = True

    def _send_if(self, body: bytes | None, content_type: str) -> None:
        if body is None:
            self._refuse(HTTPStatus.NOT_FOUND, "nothing to show now")
        else:
            self._send(body, content_type)

    def _send(self, body: bytes, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self._end()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        body = (why + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self._end()
        self.close_connection = True
        self.wfile.write(body)

    def _end(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()


def _texts_sender(connection: _Connection, language: str) -> Callable[[], None]:
    return lambda: connection._send(texts_json(language), "application/json")  # noqa: SLF001 - of this module


def _json(view: View) -> bytes:
    return json.dumps(view.to_json(), ensure_ascii=False).encode()


def _touch(data: bytes) -> Touch | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not set(found) <= {"kind", "value"}:
        return None
    kind, value = found.get("kind"), found.get("value", "")
    if not isinstance(kind, str) or not isinstance(value, str) or kind not in frozenset(TouchKind):
        return None
    # JSON can escape half a character (RFC 8259, 8.2), which nothing behind this door could encode, hash or store.
    if any("\ud800" <= character <= "\udfff" for character in value):
        return None
    return Touch(TouchKind(kind), value)


@lru_cache(maxsize=64)
def _static(name: str) -> bytes | None:
    if "/" in name or name.startswith(".") or name.rpartition(".")[2] not in _TYPES:
        return None
    try:
        return (files("device.screen") / "static" / name).read_bytes()
    except OSError:
        return None


@lru_cache(maxsize=len(LANGUAGES))
def texts_json(language: str) -> bytes:
    """Return everything the page says in a language, as JSON: its own texts, the lines, slips, and what a commissioning asks."""
    own = tomllib.loads((files("device.screen") / "texts" / f"{language}.toml").read_text(encoding="utf-8"))
    slips = _in(_protocol_texts("slip_texts"), language)
    commissioning = _protocol_texts("commissioning")
    # What was found comes with each view, as a sentence; only what every commissioning says is fetched once.
    said = {name: commissioning[name] for name in ("part", "question", "status", "label")}
    lines = {line: texts[language] for line, texts in load_lines().items()}
    return json.dumps(
        {"texts": own, "lines": lines, "slip": slips, "commissioning": _in(said, language)},
        ensure_ascii=False,
        sort_keys=True,
    ).encode()


def _protocol_texts(name: str) -> dict[str, Any]:
    return tomllib.loads((files("protocol") / f"{name}.toml").read_text(encoding="utf-8"))


def _in(table: dict[str, Any], language: str) -> dict[str, Any]:
    """Return a table of tables with, at their ends, the text of one language."""
    return {
        name: entry[language] if language in entry else _in(entry, language)
        for name, entry in table.items()
        if isinstance(entry, dict)
    }
