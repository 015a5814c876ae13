from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.errors import SettingsInvalid
from fleet.reminders.channels import Delivery, Message, Result
from fleet.reminders.composing import Text
from fleet.reminders.webhook import WebhookChannel, filled, looked_up, signature, tidy_code
from fleet.settings import SmsSettings, load_settings

MESSAGE = Message("ab" * 16, "13800000000", Text("title", 'a "quoted" {to} text'))


def sent_to(answer: httpx.Response | Exception, tmp_path: Path, **changes: Any) -> tuple[Delivery, list[httpx.Request]]:
    """Send one message over httpx's own transport for tests."""
    (tmp_path / "key").write_bytes(b"k" * 16)
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings = SmsSettings.model_validate(
        {"url": "https://gateway.example/send", "key_file": tmp_path / "key", **changes}
    )
    channel = WebhookChannel(
        "sms", settings, clock=lambda: datetime(2026, 11, 20, tzinfo=UTC), transport=httpx.MockTransport(handle)
    )
    found = channel.send(MESSAGE)
    channel.close()
    return found, seen


def test_the_signature_is_the_published_one() -> None:
    # Worked out by another program:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    assert signature(b"key", "1700000000", b"{}") == "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"


def test_a_template_is_filled_everywhere_and_values_are_never_templates() -> None:
    template = {"list": [{"to": "+86{to}"}, 5, True], "{to}": "{message_id}:{title}", "text": "{text}"}
    assert filled(template, MESSAGE) == {
        "list": [{"to": "+8613800000000"}, 5, True],
        "{to}": f"{'ab' * 16}:title",
        "text": 'a "quoted" {to} text',
    }


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(200, json={"id": "g1"}), Delivery(Result.ACCEPTED, "ok", "g1")),
        (httpx.Response(202), Delivery(Result.ACCEPTED, "ok")),
        (httpx.Response(429), Delivery(Result.LATER, "http_429")),
        (httpx.Response(503), Delivery(Result.LATER, "http_503")),
        (httpx.Response(403), Delivery(Result.FAILED, "http_403")),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), Delivery(Result.FAILED, "http_302")),
        (httpx.ConnectTimeout("13800000000"), Delivery(Result.LATER, "timeout")),
        (httpx.ConnectError("13800000000"), Delivery(Result.LATER, "unreachable")),
    ],
)
def test_answers_say_whether_to_try_again(
    answer: httpx.Response | Exception, expected: Delivery, tmp_path: Path
) -> None:
    found, seen = sent_to(answer, tmp_path, id_key="id")
    assert found == expected
    assert len(seen) == 1, "a redirect is not followed with telephone numbers"


def test_a_gateway_that_answers_200_to_everything_is_read(tmp_path: Path) -> None:
    found, _ = sent_to(httpx.Response(200, json={"a": {"code": 0}}), tmp_path, ok_key="a.code")
    assert found.result is Result.ACCEPTED
    found, _ = sent_to(httpx.Response(200, json={"a": {"code": "invalid_number"}}), tmp_path, ok_key="a.code")
    assert found == Delivery(Result.FAILED, "invalid_number", is_address_wrong=True)
    found, _ = sent_to(httpx.Response(200, text="<html>"), tmp_path, ok_key="a.code")
    assert found == Delivery(Result.FAILED, "no_answer")


def test_a_token_goes_with_the_message(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    _, (request,) = sent_to(httpx.Response(200), tmp_path, token_file=tmp_path / "token")
    assert request.headers["Authorization"] == "Bearer t0ken"


def test_nothing_of_a_gateways_text_gets_into_our_tables() -> None:
    assert (
        tidy_code("no such number 13800000000! 号码" + "x" * 90) == ("no_such_number_13800000000____" + "x" * 90)[:40]
    )
    assert looked_up({"a": {"b": True}}, "a.b") == "true"
    assert looked_up({"a": [1]}, "a.b") is None
    assert looked_up({"a": {"b": {}}}, "a.b") is None


def test_no_number_shows_in_a_repr() -> None:
    assert "138" not in repr(MESSAGE)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('[sms]\nurl = "http://gateway.example"\nkey_file = "k"', "https expected"),
        ('[sms]\nurl = "https://user:secret@gateway.example"\nkey_file = "k"', "without a user name"),
        ('[sms]\nurl = "https://gateway.example"', "key_file"),
        ('[wechat]\nurl = "https://g.example"\nkey_file = "k"\nbody = { text = "{text}" }', "{to}"),
        ('[email]\nhost = "mail.example"', "sender"),
        ('[email]\nuser = "x"', "password_file"),
        ("[statistics]\nmin_cell = 1", "min_cell"),
    ],
)
def test_settings_that_would_leak_or_fail_are_refused(lines: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(f'fleet_id = "north"\ndata_dir = "data"\n{lines}\n')
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(path)
    assert problem in str(caught.value)


def test_files_of_gateways_start_at_the_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(
        'fleet_id = "north"\ndata_dir = "data"\n[sms]\nurl = "https://g.example"\nkey_file = "sms.key"\ntoken_file = "t"\n'
        '[email]\nhost = "m"\nsender = "a@b"\nuser = "u"\npassword_file = "p"\n'
    )
    settings = load_settings(path)
    assert (settings.sms.key_file, settings.sms.token_file) == (tmp_path / "sms.key", tmp_path / "t")
    assert settings.email.password_file == tmp_path / "p"
    assert settings.wechat.key_file is None
