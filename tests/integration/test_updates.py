"""An update from the office's word to the slot that runs, and back: a door with TLS, a broker, and the terminal's programs as processes.

The part of systemd is played here: services are started from what the slots' link leads to, after the guard, and again when they end.
"""

from __future__ import annotations

import ensurepip
import hashlib
import io
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from demo.processes import end
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.signer_keyfile import load_fleet_identity
from device.app.applying import settings_of
from device.settings import Settings
from device.updates import slots as guard
from device.updates.in_force import slots_of
from device.updates.installing import Done, Installer
from device.updates.release_keys import release_keys
from device.updates.slots import MARK
from protocol.bundle import BundleFile, BundleKind, BundleManifest, write_bundle
from protocol.desired import BUNDLE_PATH, DESIRED_TYP, DesiredBundle, DesiredState, SettingValues
from protocol.envelope import sign, typ_of, unverified_payload
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy
from protocol.times import DeviceTime
from protocol.topics import Kind
from tests.integration.authority import Authority

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]

ROOT = Path(__file__).resolve().parents[2]
RELEASE = PrivateKey.generate()
(PIP,) = Path(ensurepip.__file__).parent.joinpath("_bundled").glob("pip-*.whl")
FLEET, TERMINAL = "north", "t-17"
PACKAGES = ("device", "protocol")
CLIPS = ("live_om", "print_om")
MORE = """
[camera]
kind = "simulated"
[panel]
kind = "simulated"
[voice]
kind = "none"
[simulated]
actor = "{actor}"
[updates]
slots_dir = "slots"
release_keys = "release-keys.json"
bytes_per_s = 100000000
spare_bytes = 0
retry_base_s = 0.1
retry_cap_s = 0.5
proof_s = 0.2
"""


def wheel(version: str, changes: dict[str, str] | None = None) -> bytes:
    """Return a wheel of the terminal's programs as they lie here, under another version and with some modules other than they are."""
    changes = changes or {}
    made = io.BytesIO()
    info = f"lifecert-{version}.dist-info"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for package in PACKAGES:
            for path in sorted((ROOT / package).rglob("*")):
                name = path.relative_to(ROOT).as_posix()
                if path.is_file() and path.suffix != ".pyc" and "voices" not in path.parts:
                    archive.writestr(name, changes.get(name, "") or path.read_bytes())
        for clip in CLIPS:
            for suffix in ("toml", "mp4"):
                archive.write(ROOT / "demo" / "people" / f"{clip}.{suffix}", f"demo/people/{clip}.{suffix}")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: lifecert\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nlifecert-terminal = device.cli:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return made.getvalue()


def needed() -> bytes:
    """Return a wheel in the place of all others: it leads to the packages that this test runs with."""
    made = io.BytesIO()
    info = "needed-1.dist-info"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("needed.pth", os.fsdecode(Path(pytest.__file__).parents[1]) + "\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: needed\nVersion: 1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return made.getvalue()


def bundle_of(number: int, files: dict[str, bytes], kind: BundleKind = BundleKind.APP, **changes: Any) -> bytes:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = BundleManifest(
        kind=kind,
        label=f"0.{number}.0",
        number=number,
        floor=changes.pop("floor", 1),
        made_at=start,
        expires_at=start + timedelta(days=36500),
        files=tuple(
            BundleFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in files.items()
        ),
        **changes,
    )
    target = io.BytesIO()
    write_bundle(target, manifest, map(io.BytesIO, files.values()), key=RELEASE)
    return target.getvalue()


def app_bundle(number: int, changes: dict[str, str] | None = None) -> bytes:
    version = f"0.{number}.0"
    files = {
        f"wheels/lifecert-{version}-py3-none-any.whl": wheel(version, changes),
        "wheels/needed-1-py3-none-any.whl": needed(),
        f"wheels/{PIP.name}": PIP.read_bytes(),
    }
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return bundle_of(number, files, python=python)


def want_of(bundle: bytes) -> DesiredBundle:
    head = bundle.partition(b"\n")
    token = head[2][: int(head[0].rpartition(b" ")[2])]
    payload = unverified_payload(token)
    manifest = BundleManifest.parse(payload)
    digest = hashlib.sha256(payload).hexdigest()
    return DesiredBundle(
        kind=manifest.kind, bundle_id=digest, number=manifest.number, label=manifest.label, size=len(bundle)
    )


class Door:
    """The fleet's door: gives bundles with ranges, unless the script says something else for the next request."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.bundles: dict[str, bytes] = {}
        self.script: list[str] = []
        self.asked: list[tuple[str, str]] = []
        """What each request was answered with, and its range."""
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_GET(self) -> None:
                door.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name
                """Keep still."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def put(self, bundle: bytes) -> DesiredBundle:
        want = want_of(bundle)
        self.bundles[want.bundle_id] = bundle
        return want

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        how = self.script.pop(0) if self.script else "ranges"
        asked = request.headers.get("Range", "")
        self.asked.append((how, asked))
        data = self.bundles.get(request.path.removeprefix(f"{BUNDLE_PATH}/"))
        if data is None or how == "busy":
            self._send(request, 404 if data is None else 503, b"")
            return
        if how == "garbage":
            self._send(request, 200, b"<html>please sign in</html>".ljust(len(data)))
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and how != "whole" else 0
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        self._send(request, 206 if start else 200, data[start:], headers, cut=how == "cut")

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        data: bytes,
        headers: dict[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        request.close_connection = True
        request.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data[: len(data) // 2] if cut else data)


class Site:
    """A terminal's files and its services."""

    def __init__(self, terminal: Any, broker: Any, pki: Path) -> None:
        self.folder: Path = terminal.folder
        self.fleet_key: PrivateKey = terminal.fleet_key
        terminal.configure(
            broker.port, f'tls_ca = "{pki}/ca.crt"\ntls_certificate = "{pki}/t-17.crt"\ntls_key = "{pki}/t-17.key"\n'
        )
        text = terminal.config.read_text() + MORE.format(actor=ROOT / "demo" / "people" / "empty.toml")
        self.config: Path = terminal.config
        self.config.write_text(text.replace('data_dir = "data"', f'data_dir = "data"\nmodels_dir = "{ROOT}/models"'))
        keys = {"keys": [{**RELEASE.public().model_dump(), "kid": RELEASE.key_id, "use": "sig"}]}
        (self.folder / "release-keys.json").write_text(json.dumps(keys))
        self.settings: Settings = settings_of(self.config)
        policy = FilePolicyStore(self.settings.policy_path, self.fleet_key.public())
        policy.apply(sign(default_policy().to_bytes(), key=self.fleet_key, typ=POLICY_TYP))
        self.slots = self.settings.updates.slots_dir
        self._card()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.starts: list[tuple[str, str]] = []
        """Services as they were started, and from which slot."""

    def _card(self) -> None:
        """Put into the first slot what a card brings: an environment that no bundle made."""
        slots = slots_of(self.settings, BundleKind.APP)
        slots.begin()
        quick_environment(slots.path("a"), [f"{ROOT}", os.fsdecode(Path(pytest.__file__).parents[1])])
        copies = self.folder / "guard"
        copies.mkdir()
        for name in ("slots", "minute", "trial", "disk"):
            shutil.copy(Path(guard.__file__).with_name(f"{name}.py"), copies)

    @property
    def program(self) -> Path:
        return self.slots / "app" / "current" / "venv" / "bin" / "lifecert-terminal"

    def guard(self, *seconds: str) -> None:
        copy = self.folder / "guard" / ("minute.py" if seconds else "slots.py")
        command = [sys.executable, "-E", "-s", "-S", str(copy), str(self.slots), *seconds]
        subprocess.run(command, check=True)

    def start(self, name: str) -> None:
        if name == "run":
            self.guard()
        self.starts.append((name, slots_of(self.settings, BundleKind.APP).current or ""))
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(self.program), name, "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def mind(self) -> None:
        """Start again what has ended, as systemd does."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self.start(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        have_ended = {name: end(process) for name, process in self._running.items()}
        self._running.clear()
        assert all(have_ended.values()), f"ended when they were asked: {have_ended}"

    def apply(self) -> str:
        done = subprocess.run(
            [str(self.program), "update", "apply", "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def status(self) -> dict[str, Any]:
        done = subprocess.run(
            [str(self.program), "update", "status", "--json", "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def quickly(self, bundle: bytes, desired: bytes, *, moment: DeviceTime) -> Done:
        """Install in this process, and without pip, venv and an examination: an update that passed for good."""
        self.settings.updates_dir.mkdir(parents=True, exist_ok=True)
        self.settings.desired_path.write_bytes(desired)
        (self.settings.updates_dir / f"{want_of(bundle).bundle_id}.bundle").write_bytes(bundle)

        def make(root: Path, wheels: dict[str, str]) -> None:
            for name in wheels:
                with zipfile.ZipFile(root / name) as archive:
                    archive.extractall(root / "unpacked")
            quick_environment(root, [f"{root / 'unpacked'}", os.fsdecode(Path(pytest.__file__).parents[1])])

        return Installer(
            self.settings,
            load_fleet_identity(self.settings.keys.fleet, fleet_id=FLEET).signing_key,
            key_of=release_keys(self.settings.updates.release_keys),
            now=lambda: moment,
            examine=lambda _kind, _root: None,
            make=make,
        ).apply()

    def events(self) -> list[TerminalEvent]:
        outbox = SqliteOutbox(self.settings.outbox_path, max_rows=10**6, max_bytes=1 << 30)
        try:
            rows = [row.envelope for row in outbox.history(1000) if typ_of(row.envelope) == EVENT_TYP]
            return [TerminalEvent.parse(unverified_payload(row)) for row in rows]
        finally:
            outbox.close()


def quick_environment(root: Path, paths: list[str]) -> None:
    """Make an environment as fast as can be: only the links, the paths, and the program."""
    environment = root / "venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (packages / "paths.pth").write_text("".join(f"{path}\n" for path in paths))
    program = environment / "bin" / "lifecert-terminal"
    program.write_text(f"#!{environment}/bin/python\nfrom device.cli import main\nmain()\n")
    program.chmod(0o755)


def desired(number: int, *wants: DesiredBundle, door: str | None = None, key: PrivateKey, **changes: Any) -> bytes:
    message = DesiredState(
        fleet_id=FLEET,
        terminal_id=TERMINAL,
        number=number,
        issued_at=datetime(2026, 11, 1, tzinfo=UTC),
        door=door,
        bundles=wants,
        **changes,
    )
    return sign(message.to_bytes(), key=key, typ=DESIRED_TYP)


MOMENT = DeviceTime.model_validate(
    {"boot_id": "0" * 32, "monotonic_ns": 1, "wall_clock": "1970-01-01T00:00:00Z", "source": "none"}
)


@pytest.fixture
def site(secured: tuple[Authority, Any, Path], terminal: Any) -> Iterator[Site]:
    _, broker, pki = secured
    made = Site(terminal, broker, pki)
    yield made
    made.stop()


@pytest.fixture
def door(secured: tuple[Authority, Any, Path]) -> Iterator[Door]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secured[2] / "127.0.0.1.crt", secured[2] / "127.0.0.1.key")
    made = Door(context)
    yield made
    made.close()


def ends(site: Site) -> list[tuple[str, str]]:
    return [
        (event.detail["number"], event.detail["why"]) for event in site.events() if event.kind is EventKind.UPDATE_ENDED
    ]


def test_programs_come_over_a_bad_line_survive_a_cut_stay_and_are_there_again_after_deaf_ones(
    site: Site,
    door: Door,
    secured: tuple[Authority, Any, Path],
    start_fleet: Callable[..., Any],
    make_page: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    authority, broker, _ = secured
    fleet = start_fleet(broker.port, authority.context("fleet"))
    # Whoever asks is answered, as by a fleet: the uplink before the trial may have sent all that there was to send.
    fleet.page = lambda request: make_page(request.have, request.have)
    want = door.put(app_bundle(2))
    door.script = ["busy", "garbage", "cut", "whole"]
    site.start("uplink")
    site.start("run")
    values = SettingValues(uplink_window=7)
    fleet.send(Kind.DESIRED, desired(1, want, door=door.url, key=site.fleet_key, settings=values))

    def minded(condition: Callable[[], bool]) -> Callable[[], bool]:
        def check() -> bool:
            site.mind()
            return condition()

        return check

    whole = site.settings.updates_dir / f"{want.bundle_id}.bundle"
    eventually(minded(whole.exists), "the bundle", timeout_s=60)
    assert [how for how, _ in door.asked] == ["busy", "garbage", "cut", "whole"]
    ranges = [asked for _, asked in door.asked]
    assert ranges[2] == "", "what was garbage is not gone on with"
    assert ranges[3] == f"bytes={want.size // 2}-"
    # The power fails in the middle.
    cut = subprocess.Popen([str(site.program), "update", "apply", "--config", str(site.config)], start_new_session=True)
    eventually((site.slots / "app" / "b" / "wheels").exists, "it is being unpacked", timeout_s=60)
    os.killpg(cut.pid, signal.SIGKILL)
    cut.wait()
    slots = slots_of(site.settings, BundleKind.APP)
    assert slots.current == "a"
    assert not (slots.path("b") / MARK).exists()
    assert site.apply() == "switched app"
    assert slots.current == "b"
    eventually(minded(lambda: {("run", "b"), ("uplink", "b")} <= set(site.starts)), "both run from it", timeout_s=60)

    def proven() -> bool:
        said = [json.loads((site.settings.updates_dir / f"{name}.json").read_text()) for name in ("terminal", "uplink")]
        return all(each["ids"] == {"app": want.bundle_id} for each in said) and said[0]["is_up"] and said[1]["is_heard"]

    eventually(minded(proven), "it has proven itself", timeout_s=60)
    assert slots.state().trial is not None
    assert site.apply() == "nothing"
    ended = slots.state().last
    assert ended is not None
    assert (ended.is_kept, ended.why) == (True, "proven")

    def reported() -> Any:
        found = [presence for presence in fleet.presences if presence.reported is not None]
        return found[-1].reported if found else None

    eventually(
        minded(lambda: (r := reported()) is not None and any(e.number == 2 and not e.is_on_trial for e in r.running)),
        "the fleet knows",
        timeout_s=60,
    )
    assert (reported().desired_number, reported().settings.uplink_window, reported().coming) == (1, 7, ())
    assert any(presence.software == "0.2.0" for presence in fleet.presences)
    eventually(minded(lambda: ends(site) == [("2", "proven")]), "the event", timeout_s=30)
    # Programs that run, but never hear of the fleet, which answered the ones before.
    said = json.loads((site.settings.updates_dir / "uplink.json").read_text())
    moment = MOMENT.model_copy(update={"boot_id": said["boot_id"]})
    deaf = app_bundle(3, {"device/uplink/service.py": "def run(_settings):\n    import time\n    time.sleep(600)\n"})
    token = desired(2, want_of(deaf), key=site.fleet_key, settings=values)
    assert site.quickly(deaf, token, moment=moment) == Done("switched", BundleKind.APP)

    def up() -> bool:
        site.mind()
        site.quickly(deaf, token, moment=moment)
        trial = slots.state().trial
        return trial is not None and trial.is_healthy is True

    eventually(minded(up), "the terminal runs from it", timeout_s=60)
    site.guard("1799")
    assert slots.current == "a"
    site.guard("1")
    assert slots.current == "b"
    eventually(
        minded(lambda: site.starts[-1] == ("run", "b") and ends(site)[1:] == [("3", "no_contact")]),
        "the terminal runs from those before, and says why",
        timeout_s=60,
    )


def test_programs_that_do_not_start_go_back_after_a_few_starts_and_the_terminal_serves_again(
    site: Site, eventually: Callable[..., None]
) -> None:
    broken = app_bundle(3, {"device/app/service.py": "raise RuntimeError('broken')\n"})
    token = desired(1, want_of(broken), key=site.fleet_key)
    assert site.quickly(broken, token, moment=MOMENT) == Done("switched", BundleKind.APP)
    site.start("run")

    def back() -> bool:
        site.mind()
        return site.starts[-1] == ("run", "a") and "terminal started" in site.log("run")

    eventually(back, "the terminal runs again", timeout_s=60)
    assert [slot for _, slot in site.starts] == ["b", "b", "b", "a"]
    assert "broken" in site.log("run")
    eventually(lambda: ends(site) == [("3", "crash_loop")], "it says why", timeout_s=30)
    # It is not tried again, before the office says so.
    assert site.quickly(broken, token, moment=MOMENT) == Done("nothing")
    said = site.status()
    assert (said["ended"][0]["why"], said["coming"][0]["state"]) == ("crash_loop", "refused")
    louder = desired(2, want_of(broken), key=site.fleet_key, settings=SettingValues(voice_volume=0.5))
    assert site.quickly(broken, louder, moment=MOMENT) == Done("nothing"), "another change is not about it"
    again = desired(3, want_of(broken).model_copy(update={"since": 3}), key=site.fleet_key)
    assert site.quickly(broken, again, moment=MOMENT) == Done("switched", BundleKind.APP)
