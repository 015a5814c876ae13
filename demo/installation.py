"""A whole installation on one computer: fleet with embedded database and broker, and simulated terminals."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from demo.accounts import add_staff, links
from demo.link import Link
from demo.people import FANG, FOLDER, LIANG, Person, write_list
from demo.processes import Program, ask, call, free_port, wait_for
from fleet.app import open_fleet
from fleet.settings import load_settings

FLEET_ID = "demo"
SEEDS = {"hall-1": 1, "van-2": 2}
"""Terminals, and what their challenges are drawn from: fixed, so that the story is the same every time."""
_START_S = 60.0
_MODELS = Path(__file__).parents[1] / "models"


class Terminal:
    """A simulated terminal: its two services, and the link between it and the broker."""

    def __init__(self, folder: Path, terminal_id: str, *, seed: int, link: Cable) -> None:
        self.terminal_id = terminal_id
        self.link = link
        self._folder = folder
        self._seed = seed
        self._starts = 0
        self._settings = folder / "terminal.toml"
        # A path of a Unix socket may have 107 bytes; a checkout can lie deeper than that leaves room for.
        self._control = Path(folder.parents[1].resolve(), f"{terminal_id}.sock")
        self.service = Program(folder / "terminal.log", "lifecert-terminal", "run", "--config", str(self._settings))
        self.uplink = Program(folder / "uplink.log", "lifecert-terminal", "uplink", "--config", str(self._settings))

    def provision(self, fleet_identity: Path) -> Path:
        """Make keys, take the fleet's identity, and return the registration for the fleet."""
        keys = self._folder / "keys"
        call(
            "lifecert-provision",
            "identity",
            "--fleet-id",
            FLEET_ID,
            "--terminal-id",
            self.terminal_id,
            "--out",
            str(keys),
        )
        call("lifecert-provision", "accept-fleet", str(fleet_identity), "--out", str(keys))
        return next(keys.glob("*.jws"))

    def start(self) -> None:
        """Start both services."""
        self._starts += 1
        self._write_settings()
        self.service.start()
        self.uplink.start()

    def kill(self) -> None:
        """Both services end without a word, as in a power cut."""
        self.service.kill()
        self.uplink.kill()

    def stop(self) -> None:
        """End both services in order."""
        self.service.stop()
        self.uplink.stop()

    def status(self) -> dict[str, Any] | None:
        """Return the terminal's status, None while it is not up."""
        try:
            return ask(self._control, {"do": "status"}, timeout_s=10)
        except OSError:
            return None

    def wait_ready(self, *, roster_version: int) -> None:
        """Wait until policy and roster have arrived."""

        def ready() -> bool | None:
            found = self.status()
            if found is None or found["policy_version"] is None or found["roster_version"] < roster_version:
                return None
            return True

        wait_for(f"terminal {self.terminal_id}", ready, timeout_s=_START_S, alive=(self.service, self.uplink))

    def claim(self, number: str, actor: str) -> dict[str, Any]:
        """Put an actor before the camera, present a number, and return what became of it."""
        answer = ask(self._control, {"do": "set_actor", "actor": str(FOLDER / f"{actor}.toml")})
        if answer["ok"]:
            answer = ask(self._control, {"do": "present_claim", "number": number})
        self.service.check()
        return answer

    def _write_settings(self) -> None:
        text = json.dumps  # a JSON string is a TOML string
        self._settings.write_text(
            f"""\
[terminal]
fleet_id = {text(FLEET_ID)}
terminal_id = {text(self.terminal_id)}
data_dir = "data"
models_dir = {text(str(_MODELS))}
languages = ["zh", "en"]

[keys]
signing = "keys/signing.pem"
sealing = "keys/sealing.pem"
storage = "keys/storage.key"
fleet = "keys/fleet.json"

[broker]
host = "127.0.0.1"
port = {self.link.port}

[camera]
kind = "simulated"

[panel]
kind = "simulated"

[ring_light]
kind = "simulated"

[voice]
kind = "none"

[simulated]
control_socket = {text(str(self._control))}
actor = {text(str(FOLDER / "empty.toml"))}
# In lockstep with the networks: the same on a slow or busy computer as on a fast one.
speed = "fast"
# The same story every time, and never the same ids twice.
entropy_seed = {self._seed + 1000 * (self._starts - 1)}

[uplink]
poll_s = 0.1
resend_after_s = 2
reconnect_cap_s = 1
presence_change_s = 0.2
""",
            encoding="utf-8",
        )


class Cable:
    """A `Link` that can be used from ordinary code."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        self._loop = loop
        self._link = Link(target_port)
        self.restore()

    @property
    def port(self) -> int:
        """Where the uplink connects to."""
        return self._link.port

    def cut(self) -> None:
        """Unplug."""
        asyncio.run_coroutine_threadsafe(self._link.cut(), self._loop).result(10)

    def restore(self) -> None:
        """Plug in again."""
        asyncio.run_coroutine_threadsafe(self._link.restore(), self._loop).result(10)


class Installation:
    """Fleet and two terminals.

    Args:
        folder: for everything they write; made anew by the caller.
        web_port: of the console.
    """

    def __init__(self, folder: Path, *, web_port: int) -> None:
        self._folder = folder
        self.console = f"http://127.0.0.1:{web_port}"
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="links", daemon=True).start()
        broker_port = free_port()
        fleet = folder / "fleet"
        fleet.mkdir(parents=True)
        self._config = fleet / "fleet.toml"
        self._config.write_text(
            f"""\
fleet_id = "{FLEET_ID}"
data_dir = "data"
# Both terminals are simulated; a real fleet counts nothing such a terminal says.
accept_simulated = true

[agency]
name = "示例市社会保险经办中心"
name_en = "Example City Social Insurance Centre"

[broker]
port = {broker_port}

[web]
port = {web_port}

[accounts]
link_minutes = 60
""",
            encoding="utf-8",
        )
        self._fleet = Program(fleet / "fleet.log", "lifecert-fleet", "serve", "--config", str(self._config))
        self.terminals = []
        for terminal_id, seed in SEEDS.items():
            place = folder / "terminals" / terminal_id
            place.mkdir(parents=True)
            cable = Cable(self._loop, broker_port)
            self.terminals.append(Terminal(place, terminal_id, seed=seed, link=cable))
        self._credential: dict[str, str] = {}
        """What the open interface asks for; none is needed for its health."""
        self.subject_ids: dict[str, str] = {}
        """The fleet's id of each person, by identity number."""

    def start(self) -> None:
        """Set everything up and wait until both terminals can work.

        Raises:
            DemoError: if a program does not do its part.
        """
        identity = self._folder / "fleet" / "identity.json"
        self._call("init", "--identity", str(identity))
        self._fleet.start()
        with ThreadPoolExecutor() as pool:
            registrations = list(pool.map(lambda terminal: terminal.provision(identity), self.terminals))
        wait_for("fleet", self._health, timeout_s=_START_S, alive=(self._fleet,))
        made = json.loads(
            self._call("partners", "add", "demo", "--local", "--by", "demo", "--per-minute", "6000", "--json")
        )
        self._credential = {"Authorization": f"Bearer {made['key']}"}
        self._import_people()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._admit, self.terminals, registrations))
        with ThreadPoolExecutor(3) as pool:
            enrolled = [pool.submit(self._enrol, person) for person in (LIANG, FANG)]
            pool.submit(self._call, "publish-policy").result()
            for job in enrolled:
                job.result()
        for terminal in self.terminals:
            terminal.start()
        for terminal in self.terminals:
            # Everybody once when assigned, and once more when enrolled.
            terminal.wait_ready(roster_version=len(self.subject_ids) * 2)

    def add_staff(self) -> dict[str, str]:
        """Add the people who work at the console; return for each, by name and role, a link that signs them in once."""
        with open_fleet(load_settings(self._config)) as fleet:
            add_staff(fleet)
            return links(fleet)

    def stop(self) -> None:
        """Stop everything, the terminals first."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda terminal: terminal.stop(), self.terminals))
        self._fleet.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def get(self, path: str) -> Any:
        """Return what the fleet's open interface answers."""
        request = urllib.request.Request(self.console + path, headers=self._credential)  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
            return json.load(answer)

    def records(self, terminal: Terminal) -> list[dict[str, Any]]:
        """Return the records of a terminal that the fleet has."""
        found: list[dict[str, Any]] = self.get(f"/api/v1/records?terminal_id={terminal.terminal_id}")
        return found

    def state_of(self, number: str) -> str:
        """Return the certification status the fleet has for a person."""
        lines = self.get("/api/v1/subjects")["subjects"]
        return next(str(line["state"]) for line in lines if line["subject_id"] == self.subject_ids[number])

    def check(self) -> None:
        """Raise `DemoError` if a program has ended by itself."""
        for program in (self._fleet, *(p for t in self.terminals for p in (t.service, t.uplink))):
            program.check()

    def _call(self, command: str, *arguments: str, given: str | None = None) -> str:
        return call("lifecert-fleet", command, *arguments, "--config", str(self._config), given=given)

    def _health(self) -> bool | None:
        try:
            self.get("/healthz")
        except (urllib.error.URLError, OSError):
            return None
        return True

    def _import_people(self) -> None:
        people = self._folder / "people.csv"
        write_list(people)
        done = json.loads(self._call("import-subjects", str(people), "--json"))
        ids = [row["subject_id"] for row in done["subjects"]]
        self.subject_ids = dict(zip((LIANG.number, FANG.number), ids, strict=True))

    def _admit(self, terminal: Terminal, registration: Path) -> None:
        self._call("register-terminal", str(registration), "--area", "east-village")
        self._call("assign", "--terminal", terminal.terminal_id, "--all")

    def _enrol(self, person: Person) -> None:
        portrait = self._folder / f"portrait-{person.clip}.png"
        portrait.write_bytes(person.portrait())
        self._call(
            "enrol",
            str(portrait),
            "--subject",
            "-",
            "--kind",
            "photo-confirmed",
            "--officer",
            "demo",
            "--legal-basis",
            "statute",
            given=person.number,
        )
        portrait.unlink()
