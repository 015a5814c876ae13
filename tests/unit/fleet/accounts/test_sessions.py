from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from fleet.accounts import recovery
from fleet.accounts.rules import AccountRules, is_over
from fleet.app import account_rules
from fleet.keys import FieldCipher
from fleet.settings import Settings

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
CIPHER = FieldCipher(bytes(32))


def rules(**accounts: object) -> AccountRules:
    return account_rules(
        Settings.model_validate({"fleet_id": "north", "data_dir": "x", "accounts": {**accounts}, "web": {"port": 8090}})
    )


@pytest.mark.parametrize(
    ("since_sign_in_s", "since_seen_s", "over"),
    [
        (0, 0, False),
        (1799, 1799, False),
        (1800, 1800, True),
        (28799, 0, False),
        (28800, 0, True),
        # The clock was put back: by a little, and by so much that nobody knows how old the session is.
        (-300, -300, False),
        (-301, -301, True),
        (600, -301, True),
    ],
)
def test_a_session_ends_when_unused_when_old_and_when_its_age_is_unknown(
    since_sign_in_s: int, since_seen_s: int, over: bool
) -> None:
    signed_in, seen = (NOW - timedelta(seconds=each) for each in (since_sign_in_s, since_seen_s))
    assert is_over(signed_in, seen, NOW, rules()) == over


def test_links_and_passkeys_are_for_the_address_of_the_settings() -> None:
    here = rules()
    assert here.link_url("t") == "http://localhost:8090/sign-in/link/t"
    assert (here.rp_id, here.origins, here.is_secure) == ("localhost", ("http://localhost:8090",), False)
    there = rules(url="https://console.example", other_origins=["https://north.console.example:8443"])
    assert (there.rp_id, there.is_secure) == ("console.example", True)
    assert there.origins == ("https://console.example", "https://north.console.example:8443")
    assert rules(url="https://console.agency.example", rp_id="agency.example").rp_id == "agency.example"


def test_recovery_codes_are_typed_as_people_type_them_and_stored_by_digest() -> None:
    codes = recovery.make_codes()
    assert len(set(codes)) == recovery.COUNT == 8
    stored = recovery.digest_of(CIPHER, "a-1", codes[0])
    assert stored is not None
    assert len(stored) == 32
    assert recovery.digest_of(CIPHER, "a-1", f" {codes[0].upper().replace('-', ' ')}") == stored
    assert recovery.digest_of(CIPHER, "a-2", codes[0]) != stored
    for wrong in ("", "123456", codes[0][:-1], codes[0] + "x", "0" * 16):
        assert recovery.digest_of(CIPHER, "a-1", wrong) is None


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ({"url": "http://console.example"}, "https expected"),
        ({"url": "https://console.example/"}, "without a path"),
        ({"url": "https://me@console.example"}, "no user name"),
        ({"url": "ftp://console.example"}, "https://host"),
        ({"url": "https://console.example", "rp_id": "other.example"}, "one domain"),
        ({"url": "https://console.example", "rp_id": "sole.example"}, "one domain"),
        ({"url": "https://console.example", "other_origins": ["https://other.example"]}, "one domain"),
        ({"password_min": 7}, "greater than or equal to 8"),
        ({"idle_minutes": 61}, "less than or equal to 60"),
    ],
)
def test_settings_that_would_be_unsafe_or_work_nowhere_are_refused(accounts: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rules(**accounts)
