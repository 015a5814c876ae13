from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from fleet.accounts.totp import make_secret, matching_step, uri_of

SECRET = base64.b32encode(b"12345678901234567890").decode()
"""Source: RFC 6238, appendix B, whose codes of eight digits end in those of six."""


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert matching_step(SECRET, code, now=now, last_step=0) == seconds // 30


def test_one_step_before_and_after_is_taken_and_no_more() -> None:
    now = datetime(2026, 11, 28, 9, tzinfo=UTC)
    for steps, is_taken in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        code = pyotp.TOTP(SECRET).at(now + timedelta(seconds=30 * steps))
        assert (matching_step(SECRET, code, now=now, last_step=0) is not None) == is_taken


def test_a_code_is_good_once_and_so_is_any_before_it() -> None:
    now = datetime(2026, 11, 28, 9, tzinfo=UTC)
    code, earlier = pyotp.TOTP(SECRET).at(now), pyotp.TOTP(SECRET).at(now - timedelta(seconds=30))
    step = matching_step(SECRET, code, now=now, last_step=0)
    assert step is not None
    assert matching_step(SECRET, code, now=now, last_step=step) is None
    assert matching_step(SECRET, earlier, now=now, last_step=step) is None
    # The clock was put back: what was used stays used.
    assert matching_step(SECRET, code, now=now - timedelta(seconds=30), last_step=step) is None


@pytest.mark.parametrize("code", ["287 082", " 287082 ", "２８７０８２"])
def test_codes_may_be_typed_as_people_type_them(code: str) -> None:
    assert matching_step(SECRET, code, now=datetime.fromtimestamp(59, UTC), last_step=0) == 1


@pytest.mark.parametrize("code", ["", "28708", "94287082", "28708x", "٢٨٧٠٨٢", "-87082", "\ud800"])
def test_whatever_is_no_code_is_wrong(code: str) -> None:
    assert matching_step(SECRET, code, now=datetime.fromtimestamp(59, UTC), last_step=0) is None


def test_a_new_secret_has_160_bits_and_is_shown_with_name_and_service() -> None:
    secret = make_secret()
    assert len(base64.b32decode(secret)) == 20
    assert secret != make_secret()
    assert uri_of(secret, name="王芳", service="Lifecert north") == (
        f"otpauth://totp/Lifecert%20north:%E7%8E%8B%E8%8A%B3?secret={secret}&issuer=Lifecert%20north"
    )
