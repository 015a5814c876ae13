"""An operator at the real terminal, with the shipped networks and rendered people under the simulated light.

What is touched goes through the control socket where there is no screen; what is said is heard, on a loudspeaker that remembers.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import secrets
import shutil
import socket
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.people import FANG, LIANG
from device.adapters.clock_system import SystemClock
from device.adapters.inference_tflite import open_networks
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.staff_file import FileStaffStore
from device.adapters.voice_alsa import player
from device.adapters.voice_alsa.pack import MANIFEST, VoicePack, shipped_folders
from device.adapters.voice_alsa.prompter import VoicePrompter
from device.app.enrol import reference_of
from device.app.prompting import AllPrompters
from device.app.service import Terminal, run
from device.ports import Button
from device.session.commands import Dated, DateRole, Line
from device.settings import load_settings
from device.simulated.loudspeaker import SimulatedLoudspeaker
from protocol.cases import CASE_TYP, CaseKind, CaseRecord
from protocol.challenge import Action
from protocol.documents import claim_token, parse_document
from protocol.envelope import sign, typ_of, unseal, verify
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome
from protocol.policy import POLICY_TYP, default_policy
from protocol.records import RECORD_TYP, CertificationRecord, Link, Purpose
from protocol.references import CaptureKind, Reference
from protocol.registration import FleetIdentity
from protocol.roster import RosterEntry, RosterPage, SubjectLabel
from protocol.staff import Operator, OperatorCode, PlaceName, Role, StaffList

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ROOT / "demo" / "people"
CODE, WITNESS = OperatorCode("w-1", bytes(16)), OperatorCode("w-2", bytes(16))
NEW_NUMBER = FANG.number
THINKING_S = 5.0
"""What a worker takes for one touch, generously."""
SETTINGS = """
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
models_dir = {models}
languages = ["zh", "en"]
voice_dirs = {voice_dirs}

[keys]
signing = "signing.pem"
sealing = "sealing.pem"
storage = "storage.key"
fleet = "fleet.json"

[camera]
kind = "simulated"

[panel]
kind = "simulated"

[voice]
{voice}

[ring_light]
kind = "simulated"

[simulated]
control_socket = "control.sock"
actor = {actor}
speed = {speed}
entropy_seed = 5
"""
SCREEN = """
[screen]
kind = "web"
port = {port}
"""


class Village:
    """A terminal with an operator, somebody on its roster and somebody who is to be enrolled.

    Args:
        folder: for everything it keeps.
        screen_port: where its screen is served, at a pace that people can follow; without one it has no screen and is as fast as it can be.
        voice: the settings of its voice.
        dialect: a voice pack that stands before the shipped ones.
        on_turn: called after every turn of its loop.
    """

    def __init__(
        self,
        folder: Path,
        *,
        screen_port: int | None = None,
        voice: str = 'kind = "none"',
        dialect: Path | None = None,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._fleet_key, self.fleet_sealing = PrivateKey.generate(), PrivateKey.generate()
        self._signing = PrivateKey.generate()
        self._signing.save(folder / "signing.pem")
        PrivateKey.generate().save(folder / "sealing.pem")
        identity = FleetIdentity(
            fleet_id="north", signing_key=self._fleet_key.public(), sealing_key=self.fleet_sealing.public()
        )
        (folder / "fleet.json").write_bytes(identity.to_bytes())
        text = SETTINGS.format(
            models=json.dumps(str(ROOT / "models")),
            actor=json.dumps(str(PEOPLE / "cedar.toml")),
            speed=json.dumps("fast" if screen_port is None else "held"),
            voice=voice,
            voice_dirs=json.dumps([str(dialect)] if dialect is not None else []),
        )
        if screen_port is not None:
            text += SCREEN.format(port=screen_port)
        (folder / "terminal.toml").write_text(text)
        self.settings = load_settings(folder / "terminal.toml")
        timers = default_policy().timers
        self._fill(0.2 if screen_port is None else timers.result_s)
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._on_turn = on_turn
        self.touches = 0

    def start(self, eventually: Callable[..., None]) -> None:
        self._thread.start()
        eventually(lambda: self._errors or self._answers(), "the control socket")
        eventually(lambda: self.view()["screen"] == "idle", "an idle terminal")

    def _answers(self) -> bool:
        try:
            return bool(self.tell(do="status"))
        except OSError:
            return False

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._errors

    def tell(self, **order: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(120)
            client.connect(str(self._folder / "control.sock"))
            client.sendall(json.dumps(order).encode() + b"\n")
            with client.makefile("rb") as answers:
                found: dict[str, Any] = json.loads(answers.readline())
        assert found["ok"], found
        return found

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = self.tell(do="status")["view"]
        return view

    def touch(self, kind: str, value: str = "") -> dict[str, Any]:
        self.touches += 1
        self.tell(do="touch", kind=kind, value=value)
        return self.view()

    def read(self, text: str) -> dict[str, Any]:
        self.touches += 1
        self.tell(do="read", text=text)
        return self.view()

    def links(self, kind: type[Link], typ: str) -> list[Any]:
        outbox = SqliteOutbox(self.settings.outbox_path, max_rows=1000, max_bytes=2**30)
        rows = outbox.unconfirmed(100)
        outbox.close()
        public = self._signing.public()
        return [
            kind.parse(verify(row.envelope, key_of=lambda _: public, typ=typ).payload)
            for row in rows
            if typ_of(row.envelope) == typ
        ]

    def _serve(self) -> None:
        try:
            run(self.settings, stopping=self._stopping, reader=io.StringIO(), on_turn=self._on_turn)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self._errors.append(error)

    def _fill(self, result_s: float) -> None:
        now = datetime.now(UTC)  # noqa: TID251 - a test makes its own roster
        policy = default_policy()
        policy = policy.model_copy(update={"timers": policy.timers.model_copy(update={"result_s": result_s})})
        FilePolicyStore(self.settings.policy_path, self._fleet_key.public()).apply(
            sign(policy.to_bytes(), key=self._fleet_key, typ=POLICY_TYP)
        )
        claim_key, feature_key = secrets.token_bytes(32), secrets.token_bytes(32)
        reference = reference_of(
            LIANG.portrait(),
            open_networks(ROOT / "models"),
            name="reference",
            key=feature_key,
            key_domain="d-1",
            capture=CaptureKind.LIVE,
            now=now,
        )
        entries = (
            RosterEntry(
                roster_version=1,
                subject_id="5" * 32,
                claim_token=claim_token(parse_document(LIANG.number), claim_key),
                references=(reference,),
                label=SubjectLabel(name=LIANG.name, born=1941, place="v-1"),
            ),
            RosterEntry(
                roster_version=2,
                subject_id="6" * 32,
                claim_token=claim_token(parse_document(NEW_NUMBER), claim_key),
            ),
        )
        page = RosterPage(
            fleet_id="north",
            terminal_id="t-1",
            issued_at=now,
            expires_at=now + timedelta(days=14),
            after=0,
            upto=2,
            complete=True,
            claim_key=text_of(claim_key),
            feature_keys={"d-1": text_of(feature_key)},
            enrolment_domain="d-1",
            entries=entries,
        )
        key_path = self.settings.keys.storage.path
        clock = SystemClock(self.settings.clock_path)
        # The fleet has just answered, so the time is known well enough to certify by.
        clock.note_fleet_time(now, after_ns=clock.monotonic_ns())
        store = SqliteReferenceStore(self.settings.references_path, key_path, clock)
        assert store.apply(page)
        store.close()
        staff = StaffList(
            fleet_id="north",
            terminal_id="t-1",
            issued_at=now,
            expires_at=now + timedelta(days=30),
            operators=tuple(
                Operator(
                    operator_id=code.operator_id,
                    name="Worker",
                    roles=(Role.WORKER, Role.ENROLLER),
                    code_sha256=code.sha256(),
                    valid_until=date(2100, 1, 1),
                )
                for code in (CODE, WITNESS)
            ),
            places=(PlaceName(code="v-1", name="Village"),),
        )
        assert FileStaffStore(self.settings.staff_path, key_path).apply(staff)


class Loudspeaker:
    """The loudspeaker of a terminal made after it, and somebody who knows every line by its sound."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]) -> None:
        self._speaker = SimulatedLoudspeaker()
        self._eventually = eventually
        monkeypatch.setattr(player, "AplayLoudspeaker", lambda _device: self._speaker)

        self._lines: dict[bytes, str] = {}

    def learn(self, languages: Sequence[str]) -> None:
        """Learn how every line sounds when the shipped packs speak it at normal speed."""
        folders = shipped_folders()
        self._lines = {self.expected(folders, languages, line, is_slow=False): str(line) for line in Line}

    def last_of(self, lines: frozenset[str]) -> bool:
        """Say whether the last line was one of these."""
        return bool(self._speaker.played) and self._lines.get(self._speaker.played[-1].pcm) in lines

    def said(self, known: Mapping[bytes, str]) -> list[str]:
        """Return everything it played, in order, by the names of lines; `known` adds names of other sounds."""
        names = self._lines | known
        return [names[playing.pcm] for playing in self._speaker.played]

    def says(self, pcm: bytes) -> bool:
        """Say whether this is what it played last; waits for it."""
        self._eventually(lambda: self._speaker.played and self._speaker.played[-1].pcm == pcm, "a line")
        return True

    def expected(
        self,
        folders: Sequence[Path],
        languages: Sequence[str],
        line: Line,
        *,
        dates: Sequence[Dated] = (),
        is_slow: bool,
    ) -> bytes:
        """Return how packs of these folders speak a line."""
        speaker = SimulatedLoudspeaker()
        packs = [VoicePack.open(folder) for folder in folders]
        VoicePrompter(packs, speaker, languages, is_slow=is_slow).say(line, dates=dates)
        self._eventually(lambda: speaker.played, f"the sound of {line}")
        return speaker.played[0].pcm


@pytest.fixture
def loudspeaker(monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]) -> Loudspeaker:
    return Loudspeaker(monkeypatch, eventually)


def dialect_of(folder: Path) -> Path:
    """Make a pack that speaks one line in a dialect, as the shipped Mandarin speaks another one."""
    mandarin = next(found for found in shipped_folders() if found.name == "zh")
    shutil.copytree(mandarin, folder)
    manifest = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    other = manifest["lines"]["one_moment"]
    files = "\n".join(
        f'{speed} = {{ file = "{other[speed]["file"]}", sha256 = "{other[speed]["sha256"]}" }}'
        for speed in ("normal", "slow")
    )
    (folder / MANIFEST).write_text(
        'name = "yue"\nlanguage = "zh-yue"\ntitle.zh = "粤语"\ntitle.en = "Cantonese"\nlicence = "none"\nsource = "test"\n'
        f'speeds = ["normal", "slow"]\n[lines.welcome]\n{files}\n',
        encoding="utf-8",
    )
    return folder


def text_of(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def seconds_of(record: CertificationRecord) -> float:
    return (record.decided.monotonic_ns - record.started.monotonic_ns) / 1e9


@pytest.fixture
def village(tmp_path: Path, eventually: Callable[..., None]) -> Iterator[Village]:
    made = Village(tmp_path)
    made.start(eventually)
    yield made
    made.stop()


def test_a_home_visit_takes_less_than_three_minutes(village: Village, eventually: Callable[..., None]) -> None:
    assert village.read(CODE.text())["screen"] == "menu"
    view = village.touch("task", "visit")
    assert [row["name"] for row in view["names"]] == [LIANG.name]
    village.touch("person", "0")
    village.touch("choose", "bedridden")
    village.touch("choose", "v-1")
    assert village.read(CODE.text())["problem"] == "witness_is_worker"
    village.read(WITNESS.text())
    village.touch("choose", "no_movement")
    eventually(lambda: village.view()["screen"] == "menu", "the end of the session")
    (record,) = village.links(CertificationRecord, RECORD_TYP)
    assert record.decision.outcome is Outcome.CERTIFIED
    assert (record.operator, record.witness, record.visit.worker) == ("w-1", "w-2", "w-1")
    assert record.visit.place.code == "v-1"
    assert seconds_of(record) <= 20
    assert village.touches * THINKING_S + seconds_of(record) <= 180


def test_an_enrolment_on_site_makes_a_reference_of_the_person(
    village: Village, eventually: Callable[..., None]
) -> None:
    village.tell(do="set_actor", actor=str(PEOPLE / "peony.toml"))
    village.read(CODE.text())
    village.touch("task", "enrol")
    village.touch("number", NEW_NUMBER)
    village.touch("choose", "consent")
    village.touch("confirm")
    village.touch("choose", "standard")
    eventually(lambda: village.view()["screen"] == "menu", "the end of the session")
    (record,) = village.links(CertificationRecord, RECORD_TYP)
    assert record.decision.outcome is Outcome.CERTIFIED
    assert (record.purpose, record.comparison) == (Purpose.ENROLMENT, None)
    reference = Reference.model_validate_json(unseal(record.reference.sealed.encode(), key=village.fleet_sealing))
    assert (reference.capture, reference.key_domain) == (CaptureKind.LIVE, "d-1")


def test_a_photograph_is_taken_checked_and_sealed(village: Village, eventually: Callable[..., None]) -> None:
    village.read(CODE.text())
    village.touch("task", "photo_enrolment")
    village.touch("number", LIANG.number)
    village.touch("choose", "statute")
    village.touch("choose", "distance")
    village.touch("choose", "v-1")
    village.touch("take")
    eventually(lambda: village.view()["photo"]["state"] == "taken", "a picture")
    checks = {check["name"]: check["passed"] for check in village.view()["photo"]["checks"]}
    assert checks["one_face"]
    village.touch("keep")
    assert village.touch("confirm")["screen"] == "done"
    (case,) = village.links(CaseRecord, CASE_TYP)
    assert (case.kind, case.operator, len(case.photos)) == (CaseKind.PHOTO_ENROLMENT, "w-1", 1)
    assert (case.witness, case.place.code) == (None, "v-1")
    assert case.reference is not None


def test_a_proxy_takes_less_than_three_minutes(village: Village, eventually: Callable[..., None]) -> None:
    village.read(CODE.text())
    village.touch("task", "proxy")
    village.touch("person", "0")
    village.read(NEW_NUMBER)
    village.touch("choose", "child")
    village.touch("choose", "distance")
    village.touch("choose", "v-1")
    assert village.read(CODE.text())["problem"] == "witness_is_worker"
    village.read(WITNESS.text())
    village.touch("take")
    eventually(lambda: village.view()["photo"]["state"] == "taken", "a picture")
    village.touch("keep")
    assert village.touch("confirm")["screen"] == "done"
    (case,) = village.links(CaseRecord, CASE_TYP)
    (signed_in,) = [event for event in village.links(TerminalEvent, EVENT_TYP) if event.kind is EventKind.SIGNED_IN]
    assert (case.kind, case.reason, case.proxy.relation) == (CaseKind.PROXY, "distance", "child")
    assert (case.operator, case.witness, case.place.code) == ("w-1", "w-2", "v-1")
    took_s = (case.opened.monotonic_ns - signed_in.at.monotonic_ns) / 1e9
    assert village.touches * THINKING_S + took_s <= 180


def shoot_until_result(page: Page, folder: Path) -> None:
    """Take a picture of the page with each new headline, for people to look at; the last is the result's."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    headline = "before => (document.querySelector('h1')?.textContent ?? before) !== before"
    for number in itertools.count(1):
        before = page.text_content("h1")
        page.screenshot(path=folder / f"{number:02}.png")
        if page.locator(".of-result").count():
            return
        page.wait_for_function(headline, arg=before)


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_r5_4_r5_5_somebody_is_led_through_a_session_by_the_screen(
    language: str, tmp_path: Path, free_ports: Callable[[], int], chromium: Browser, eventually: Callable[..., None]
) -> None:
    port = free_ports()
    village = Village(tmp_path, screen_port=port)
    village.start(eventually)
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=address) as client:
        words = client.get(f"/texts/{language}.json").json()
    with chromium.new_context(viewport={"width": 800, "height": 480}) as context:
        page = context.new_page()
        # A busy computer takes its time over the networks, and the terminal's own time waits for them.
        page.set_default_timeout(300_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        if language == "en":
            page.click('[data-key="language"]')
        expect(page.locator("h1")).to_have_text(words["lines"]["welcome"])
        # Everything that is seen, in order, noted by the page itself: a test that asks may look away.
        page.evaluate(
            """() => {
                Object.assign(window, {seen: [], animations: [], shown_ms: null, gone_ms: null});
                const add = (list, one) => { if (one && list.at(-1) !== one) list.push(one); };
                const note = () => {
                    const line = document.querySelector("h1")?.textContent;
                    const moving = document.querySelector(".action img");
                    const has_result = document.querySelector(".result .until") !== null;
                    add(window.seen, line);
                    if (moving?.alt === line) add(window.animations, moving.getAttribute("src"));
                    if (has_result) window.shown_ms ??= performance.now();
                    else if (window.shown_ms !== null) window.gone_ms ??= performance.now();
                };
                const all = {subtree: true, childList: true, characterData: true, attributes: true};
                new MutationObserver(note).observe(document.body, all);
            }"""
        )
        page.click('[data-key="begin"]')
        for digit in LIANG.number:
            page.click(f'main [data-key="{digit}"]')
        page.click('[data-key="ok"]')
        expect(page.locator(".picture.oval img")).to_be_visible()
        expect(page.locator(".picture.oval img")).not_to_have_js_property("naturalWidth", 0)
        shoot_until_result(page, Path(os.environ.get("LIFECERT_SCREENSHOTS", tmp_path)) / f"session-{language}")
        page.wait_for_selector(".of-result .until")
        told = {part: page.inner_text(f".result {part}") for part in ("h1", ".until", ".next")}
        expect(page.locator(".of-idle")).to_be_visible(timeout=300_000)
        seen, animations = page.evaluate("[window.seen, window.animations]")
        stood_s = page.evaluate("window.gone_ms - window.shown_ms") / 1000
        left = page.content()
    village.stop()
    (record,) = village.links(CertificationRecord, RECORD_TYP)
    assert complaints == []
    assert record.decision.outcome is Outcome.CERTIFIED
    until, texts = record.decision.certified_until, words["texts"]
    date_told = texts["page"]["until"].format(
        year=until.year, month=until.month, month_name=texts["months"]["names"][until.month - 1], day=until.day
    )
    assert told == {"h1": texts["outcome"]["certified"], ".until": date_told, ".next": texts["next"]["certified"]}
    asked = [str(asked.action) for asked in record.challenge]
    lines = {words["lines"][action]: action for action in Action}
    assert [action for action, _ in itertools.groupby(lines[line] for line in seen if line in lines)] == [
        action for action, _ in itertools.groupby(asked)
    ]
    assert animations == [f"/static/{action}.svg" for action, _ in itertools.groupby(asked)]
    # A busy page may hear of it late.
    assert stood_s > default_policy().timers.result_s - 3
    assert date_told not in left
    assert LIANG.number not in left
    assert LIANG.number[:6] not in left


class Listener:
    """Somebody who cannot see a screen: hears every line out before time goes on, watches the lamp, and presses buttons.

    Args:
        loudspeaker: of the terminal.
        presses: which button is pressed upon hearing a line, each once, in this order.
    """

    def __init__(self, loudspeaker: Loudspeaker, presses: Sequence[tuple[frozenset[str], Button]]) -> None:
        self._loudspeaker = loudspeaker
        self._presses = list(presses)
        self._terminal: Terminal | None = None

    def stand_before(self, terminal: Terminal) -> None:
        self._terminal = terminal

    @property
    def lamps(self) -> list[str]:
        assert self._terminal is not None
        assert self._terminal._board.simulated_panel is not None
        return [lamp.value for lamp in self._terminal._board.simulated_panel.shown]

    def mind(self) -> None:
        """Listen; to be called after every turn of the terminal's loop."""
        if self._terminal is None:
            return
        prompter = self._terminal._board.prompter
        assert isinstance(prompter, AllPrompters)
        voice = next(one for one in prompter._prompters if isinstance(one, VoicePrompter))
        deadline = time.monotonic() + 20
        while not _is_silent(voice):
            assert time.monotonic() < deadline, "a voice that falls silent"
        if self._presses and self._loudspeaker.last_of(self._presses[0][0]):
            _, button = self._presses.pop(0)
            self._terminal._board.simulated_panel.press(button)


def _is_silent(voice: VoicePrompter) -> bool:
    with voice._changed:
        return voice._next is None and voice._after is None and voice._spoken is None


def test_people_are_led_through_sessions_without_a_screen_by_voice_lamp_and_buttons(
    tmp_path: Path, loudspeaker: Loudspeaker, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    loudspeaker.learn(["zh", "en"])
    listener = Listener(loudspeaker, [(frozenset(Action), Button.REPEAT), (frozenset({Line.LOOK_HERE}), Button.CANCEL)])
    made = Terminal.__init__

    def note(self: Terminal, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        listener.stand_before(self)

    monkeypatch.setattr(Terminal, "__init__", note)
    village = Village(tmp_path, voice='kind = "alsa"', on_turn=listener.mind)
    village.start(eventually)

    def certifications() -> list[CertificationRecord]:
        return village.links(CertificationRecord, RECORD_TYP)

    village.tell(do="press", button="start")
    village.tell(do="read", text=LIANG.number)
    eventually(lambda: len(certifications()) == 1, "the first record", timeout_s=120)
    eventually(lambda: village.view()["screen"] == "idle", "the next person's turn")
    village.tell(do="read", text=LIANG.number)
    eventually(lambda: len(certifications()) == 2, "the second record", timeout_s=120)
    eventually(lambda: village.view()["screen"] == "idle", "the next person's turn")
    village.stop()

    first, second = certifications()
    assert (first.decision.outcome, second.decision.outcome) == (Outcome.CERTIFIED, Outcome.CANCELLED)
    assert first.decision.certified_until is not None
    dates = (Dated(DateRole.UNTIL, first.decision.certified_until),)
    certified = loudspeaker.expected(shipped_folders(), ["zh", "en"], Line.CERTIFIED, dates=dates, is_slow=False)
    said = loudspeaker.said({certified: "certified, with the date"})
    actions = [str(asked.action) for asked in first.challenge]
    assert [line for line in said if line in set(Action)] == [actions[0], *actions], (
        "what was asked first is said again"
    )
    told = {"welcome", "present_card", "look_here", "light", "one_moment", "certified, with the date", "cancelled"}
    assert [line for line in said if line in told] == [
        *("welcome", "present_card", "look_here", "light", "one_moment", "certified, with the date", "welcome"),
        *("look_here", "cancelled", "welcome"),
    ]
    assert listener.lamps == ["working", "idle", "working", "certified", "idle", "working", "attention", "idle"]


def test_a_slow_dialect_comes_back_after_somebody_who_chose_english(
    tmp_path: Path, loudspeaker: Loudspeaker, eventually: Callable[..., None]
) -> None:
    folders = (dialect_of(tmp_path / "yue"), *shipped_folders())
    dialect = loudspeaker.expected(folders, ["zh-yue"], Line.WELCOME, is_slow=True)
    english = loudspeaker.expected(folders, ["en"], Line.WELCOME, is_slow=True)
    mandarin = loudspeaker.expected(shipped_folders(), ["zh"], Line.WELCOME, is_slow=False)
    assert len({dialect, english, mandarin}) == 3
    village = Village(tmp_path, voice='kind = "alsa"\nslow = true\nlanguages = ["zh-yue"]', dialect=folders[0])
    village.start(eventually)

    def greet() -> None:
        village.tell(do="board", verb="leave")
        village.tell(do="board", verb="step_in_front")

    assert village.view()["is_slow"], "the button begins pressed"
    greet()
    assert village.touch("language", "en")["language"] == "en"
    assert loudspeaker.says(dialect)
    greet()
    assert loudspeaker.says(english)
    village.touch("begin")
    assert loudspeaker.says(loudspeaker.expected(folders, ["en"], Line.PRESENT_CARD, is_slow=True))
    village.touch("speed", "normal")
    view = village.touch("cancel")
    assert (view["screen"], view["language"], view["is_slow"]) == ("idle", "zh", True)
    greet()
    assert loudspeaker.says(dialect)
    village.stop()
