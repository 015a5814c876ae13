"""The page that checks slips, in a real browser: what it says must be what `protocol.slip` says of the same text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from fleet.app import Fleet
from fleet.service import WebServer, make_web
from fleet.web.slip_page import slip_page
from protocol import base45
from protocol.attestation import KeyStatement, SignedStatement, state_key
from protocol.documents import DocumentKind, MaskedDocument
from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome
from protocol.records import RECORD_TYP, CertificationRecord
from protocol.registration import FleetIdentity
from protocol.slip import PREFIX, SlipVerdict, check_slip, make_slip, qr_segments
from protocol.slip_words import LANGUAGES, check_line, slip_lines, slip_texts
from protocol.times import ClockSource

pytestmark = [pytest.mark.integration, pytest.mark.browser]

TODAY = date(2027, 1, 15)
FLEET, TERMINAL, STRANGER = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
IDENTITY = FleetIdentity(fleet_id="demo", signing_key=FLEET.public())
STATEMENT = KeyStatement("demo", "hall-1", TERMINAL.public(), date(2026, 11, 1), date(2028, 10, 31))
LOCALES = {"zh": "zh-CN", "en": "en-GB"}


def record(outcome: Outcome = Outcome.CERTIFIED, until: date | None = date(2027, 11, 2), **changes: Any) -> Any:
    found = examples()[RECORD_TYP]
    assert isinstance(found, CertificationRecord)
    decision = found.decision.model_copy(update={"outcome": outcome, "certified_until": until})
    return found.model_copy(update={"decision": decision, **changes})


def slip(
    of: Any = None, day: date = date(2026, 11, 2), attestation: SignedStatement | None = None, tail: str = "002X"
) -> str:
    return make_slip(
        of or record(),
        record_sha256="0123456789abcdef" * 4,
        masked=MaskedDocument(DocumentKind.RESIDENT_ID, tail),
        decided_on=day,
        sign=lambda payload, typ: sign(payload, key=TERMINAL, typ=typ),
        attestation=attestation or state_key(STATEMENT, FLEET),
    )


def changed(text: str, place: int) -> str:
    packed = bytearray(base45.decode(text.removeprefix(PREFIX)))
    packed[place] ^= 1
    return PREFIX + base45.encode(bytes(packed))


GENUINE = slip()
_LOST = {"source": ClockSource.NONE, "uncertainty_s": None}
_DATELESS = record(Outcome.TIME_UNCERTAIN, None, decided=record().decided.model_copy(update=_LOST))
TEXTS = {
    "genuine": GENUINE,
    "review": slip(record(Outcome.REVIEW, None)),
    "demonstration": slip(record(simulated=True)),
    "clock_lost": slip(_DATELESS, day=date(1970, 1, 1)),
    "certification_over": slip(record(until=date(2027, 1, 14))),
    "certified_until_today": slip(record(until=TODAY)),
    "statement_over": slip(
        attestation=state_key(replace(STATEMENT, valid_until=date(2027, 1, 14)), FLEET),
    ),
    "statement_ends_today": slip(attestation=state_key(replace(STATEMENT, valid_until=TODAY), FLEET)),
    "outside_statement": slip(day=date(2026, 10, 31)),
    "not_yet": slip(day=date(2027, 1, 17)),
    "tomorrow": slip(day=date(2027, 1, 16)),
    "other_fleet": slip(
        record(fleet_id="elsewhere"),
        attestation=state_key(replace(STATEMENT, fleet_id="elsewhere"), STRANGER),
    ),
    "forged": slip(attestation=state_key(STATEMENT, STRANGER)),
    "newer": GENUINE.replace(PREFIX, "LCS2:"),
    "garbage": "110105 hello",
    "cut": GENUINE[:200],
    "cut_odd": GENUINE[:-1],
    "empty_slip": PREFIX,
    "small_letters": GENUINE.lower(),
    "with_spaces_around": f"  {GENUINE} \n",
    "longest": "LCS1:" + "0" * 1995,
    "not_ascii": GENUINE + "字",
} | {
    f"changed_{place}": changed(GENUINE, place)
    for place in (0, 63, 64, 127, 128, 129, 131, 163, 166, 178, 183, 200, -1)
}
"""Name of a case -> text."""


class Opened:
    """The page in a browser whose date is `TODAY`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _note_console(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def check(self, text: str) -> None:
        # The answer of the check before must not be taken for this one's.
        self.page.evaluate("delete document.getElementById('answer').dataset.verdict")
        self.page.fill("#text", text)
        self.page.click("#check")
        self.page.wait_for_selector("#answer[data-verdict]", state="attached")

    @property
    def verdict(self) -> str:
        return str(self.page.get_attribute("#answer", "data-verdict"))

    @property
    def sentence(self) -> str:
        return self.page.inner_text("#verdict")

    @property
    def lines(self) -> list[str]:
        return self.page.locator("#lines li").all_inner_texts()


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    file = tmp_path / "slip.html"
    file.write_text(slip_page(IDENTITY.fleet_id, IDENTITY.signing_key).html, encoding="utf-8")
    contexts = []

    def open_it(fragment: str = "", *, language: str = "zh", url: str | None = None) -> Opened:
        context = chromium.new_context(locale=LOCALES[language], viewport={"width": 390, "height": 844})
        contexts.append(context)
        page = context.new_page()
        page.clock.set_fixed_time(datetime.combine(TODAY, time(12), UTC))
        opened = Opened(page)
        page.goto((url or file.as_uri()) + fragment)
        return opened

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_of_every_text_what_the_terminal_says_of_it(open_page: Any, language: str) -> None:
    opened = open_page(language=language)
    seen = set()
    for name, text in TEXTS.items():
        expected = check_slip(text, IDENTITY, today=TODAY)
        opened.check(text)
        assert opened.verdict == expected.verdict, name
        assert check_line(expected, language) in opened.sentence, name
        # The title stands at the top of the page already.
        words = [] if expected.slip is None else list(slip_lines(expected.slip, language)[1:])
        assert opened.lines == words, name
        assert (opened.page.get_attribute("#answer", "class") == "good") == expected.is_certified, name
        seen.add(expected.verdict)
    assert seen == set(SlipVerdict)
    assert opened.complaints == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_r4_15_a_telephone_that_scans_the_code_is_told_at_once_with_nothing_installed(
    open_page: Any, language: str, tmp_path: Path
) -> None:
    before, behind = qr_segments(GENUINE, (tmp_path / "slip.html").as_uri())
    opened = open_page(url=before + behind, language=language)
    opened.page.wait_for_selector("#answer[data-verdict=valid]")
    assert opened.sentence.startswith("✓")
    # Nothing but the file itself was asked for, and its address as a server would see it ends before the slip.
    assert [request.partition("#")[0] for request in opened.requests] == [before.rstrip("#")]


def test_every_word_can_be_read_in_both_languages_by_one_touch(open_page: Any) -> None:
    opened = open_page(language="zh")
    texts = slip_texts()["page"]
    assert opened.page.inner_text("h1") == texts["title"]["zh"]
    opened.check(GENUINE)
    opened.page.click("#language")
    assert opened.page.inner_text("h1") == texts["title"]["en"]
    assert check_line(check_slip(GENUINE, IDENTITY, today=TODAY), "en") in opened.sentence
    assert opened.page.get_attribute("html", "lang") == "en"
    opened.page.click("#language")
    assert check_line(check_slip(GENUINE, IDENTITY, today=TODAY), "zh") in opened.sentence


def test_letters_are_large_and_nothing_needs_sideways_scrolling(open_page: Any) -> None:
    opened = open_page()
    opened.check(GENUINE)
    sizes = opened.page.evaluate(
        "[...document.querySelectorAll('#verdict, #lines li, button, label')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 24
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_markup_in_a_slip_s_text_stays_text(open_page: Any) -> None:
    opened = open_page("#<img src=x onerror=alert(1)>")
    opened.page.wait_for_selector("#answer[data-verdict=not_a_slip]")
    assert opened.page.locator("img").count() == 0


def test_the_page_allows_nothing_but_its_own_script(open_page: Any) -> None:
    opened = open_page()
    blocked = opened.page.evaluate(
        """async () => {
            const seen = [];
            const both = new Promise((done) => {
                document.addEventListener("securitypolicyviolation", (event) => {
                    if (seen.push(event.effectiveDirective) === 2) done();
                });
            });
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            await fetch("http://127.0.0.1:9/").catch(() => null);
            await both;
            return [window.ran === undefined, seen.sort()];
        }"""
    )
    assert blocked == [True, ["connect-src", "script-src-elem"]]


@pytest.mark.parametrize("is_script_run", [True, False], ids=["without cryptography", "too old for the script"])
def test_r4_15_an_old_browser_says_so_in_both_languages(chromium: Browser, tmp_path: Path, is_script_run: bool) -> None:
    file = tmp_path / "slip.html"
    file.write_text(slip_page(IDENTITY.fleet_id, IDENTITY.signing_key).html, encoding="utf-8")
    with chromium.new_context(java_script_enabled=is_script_run) as context:
        context.add_init_script("Object.defineProperty(crypto, 'subtle', {value: undefined})")
        page = context.new_page()
        page.goto(file.as_uri())
        for language in LANGUAGES:
            assert slip_texts()["page"]["unable"][language] in page.inner_text("#verdict")
        assert not page.is_visible("#form")


def test_the_fleet_serves_the_page_with_its_own_key(office: Any, open_page: Any, free_ports: Callable[[], int]) -> None:
    port = free_ports()
    whole = Fleet(office.settings, office.keys, office.database, office.clock)
    server = WebServer(make_web(whole, broker_state=lambda: "", ingest_state=lambda: ""), "127.0.0.1", port)
    server.start()
    try:
        statement = state_key(replace(STATEMENT, fleet_id="north"), office.keys.signing)
        text = slip(record(fleet_id="north"), attestation=statement)
        before, behind = qr_segments(text, f"http://127.0.0.1:{port}/slip")
        opened = open_page(url=before + behind)
        opened.page.wait_for_selector("#answer[data-verdict=valid]")
        assert opened.complaints == []
        answer = httpx.get(before.rstrip("#"), trust_env=False)
        page = slip_page("north", office.keys.signing.public())
        assert answer.headers["content-security-policy"] == page.content_security_policy
        assert "frame-ancestors 'none'" in page.content_security_policy
        assert answer.headers["cache-control"] == "public, max-age=86400"
        assert answer.text == page.html
    finally:
        server.stop()
