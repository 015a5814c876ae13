"""Commissioning from the terminal's own screen: the real terminal at work, its page in a real browser, the simulated board."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from device.screen.server import texts_json
from protocol.commissioning import COMMISSIONING_TYP, CommissioningReport, Part
from protocol.envelope import verify
from protocol.keys import PrivateKey
from tests.integration.test_operator_terminal import CODE, LIANG, Village

pytestmark = [pytest.mark.integration, pytest.mark.provisioning, pytest.mark.browser]


def test_a_terminal_is_commissioned_from_its_screen_and_goes_on_serving(
    tmp_path: Path, free_ports: Callable[[], int], chromium: Browser, eventually: Callable[..., None]
) -> None:
    port = free_ports()
    village = Village(tmp_path, screen_port=port, voice='device = "null"')
    village.start(eventually)
    reports = village.settings.reports_path
    pictures = Path(os.environ.get("LIFECERT_SCREENSHOTS", tmp_path))
    questions = json.loads(texts_json("zh"))["commissioning"]["question"]
    complaints: list[str] = []

    def seen(state: str) -> bool:
        return bool(village.view()["screen"] == state)

    def asks(question: str) -> bool:
        check = village.view()["commissioning"]
        return bool(check and check["question"] == question)

    with chromium.new_context(viewport={"width": 800, "height": 480}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}")
        expect(page.locator(".of-idle")).to_be_visible()
        village.read(CODE.text())
        for key in ("status", "commission", "start_check"):
            page.click(f'[data-key="{key}"]')
        # One question at a time; whoever comes meanwhile is told, and begins nothing.
        for number, question in enumerate(("target", "seat", "heard", "lamp")):
            eventually(partial(asks, question), question, timeout_s=90)
            expect(page.locator(".asking h1")).to_have_text(questions[question])
            if not number:
                village.read(LIANG.number)
                expect(page.locator(".told")).to_be_visible()
                assert village.view()["screen"] == "commissioning"
            page.screenshot(path=pictures / f"check-{question}.png")
            page.click('[data-key="yes"]')
        expect(page.locator(".found .open")).to_be_visible(timeout=90_000)
        eventually(lambda: village.view()["commissioning"]["state"] == "done", "the end", timeout_s=90)
        expect(page.locator('[data-key="next_result"]')).to_be_visible()
        page.screenshot(path=pictures / "check-done.png")

        # The report that the command line would have left, for the uplink to send.
        (signed,) = reports.iterdir()
        key = PrivateKey.load(tmp_path / "signing.pem").public()
        report = CommissioningReport.parse(
            verify(signed.read_bytes(), key_of=lambda _: key, typ=COMMISSIONING_TYP).payload
        )
        reasons = {check.part: check.reason for check in report.checks}
        assert set(reasons) == set(Part)
        assert (reasons[Part.BROKER], reasons[Part.FLEET]) == ("refused", "needs")
        wanted = {
            Part.FOCUS: "sharp",
            Part.SEAT: "good",
            Part.RING_LEFT: "good",
            Part.RING_RIGHT: "good",
            Part.LOUDSPEAKER: "confirmed",
            Part.STATUS_LAMP: "confirmed",
            Part.BUTTONS: "good",
        }
        assert {part: reasons[part] for part in wanted} == wanted
        assert (report.is_simulated, report.passed) == (True, False)

        # Left in the middle, everything is the terminal's again.
        page.click('[data-key="start_check"]')
        eventually(partial(asks, "target"), "the target", timeout_s=90)
        page.click('[data-key="leave"]')
        expect(page.locator(".of-menu")).to_be_visible()
        assert village.tell(do="status")["lamp"] == "idle"
        page.click('[data-key="sign_out"]')
        eventually(lambda: seen("idle"), "the idle page")
        village.tell(do="press", button="start")
        eventually(lambda: village.view()["line"] == "present_card", "the button")
        village.read(LIANG.number)
        expect(page.locator(".picture.oval img")).not_to_have_js_property("naturalWidth", 0)
        page.click('[data-key="cancel"]')
        eventually(lambda: seen("idle"), "the end of the session", timeout_s=60)
    village.stop()
    assert len(list(reports.iterdir())) == 1
    assert complaints == []
