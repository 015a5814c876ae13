from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.accounts.passkeys import (
    authentication_options,
    is_cloned,
    read_assertion,
    read_registration,
    registration_options,
    verify_assertion,
    verify_registration,
)
from fleet.app import account_rules
from fleet.settings import Settings

RULES = account_rules(Settings.model_validate({"fleet_id": "north", "data_dir": "x"}))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
PART = JSON | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
ANSWER = st.fixed_dictionaries(
    {
        "id": PART,
        "rawId": PART,
        "type": JSON | st.just("public-key"),
        "response": JSON
        | st.fixed_dictionaries(
            {
                "clientDataJSON": PART,
                "attestationObject": PART,
                "authenticatorData": PART,
                "signature": PART,
                "userHandle": PART,
                "transports": JSON,
            }
        ),
    }
).map(json.dumps)


@given(st.text(max_size=50) | JSON.map(json.dumps) | ANSWER)
def test_whatever_a_browser_sends_is_an_answer_or_none(answer: str) -> None:
    read_assertion(answer)
    read_registration(answer)
    assert verify_assertion(RULES, answer, challenge=bytes(32), public_key=bytes(8)) is None
    assert verify_registration(RULES, answer, challenge=bytes(32)) is None


@pytest.mark.parametrize("answer", ["[" * 60_000, '{"id":' * 9_000, "x" * 100_000])
def test_what_is_too_deep_or_too_long_is_none(answer: str) -> None:
    assert read_assertion(answer) is None
    assert read_registration(answer) is None


def test_user_verification_is_asked_for_and_the_passkey_is_kept_by_its_authenticator() -> None:
    asked = json.loads(registration_options(RULES, account_id="a-1", name="王芳", challenge=bytes(32), known=[b"one"]))
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert (asked["rp"]["id"], asked["attestation"], asked["timeout"]) == ("localhost", "none", 300_000)
    assert base64.urlsafe_b64decode(asked["user"]["id"] + "==") == b"a-1"
    assert [each["id"] for each in asked["excludeCredentials"]] == ["b25l"]
    got = json.loads(authentication_options(RULES, challenge=bytes(32), allowed=[(b"one", ["usb"])]))
    assert (got["userVerification"], got["rpId"]) == ("required", "localhost")
    assert got["allowCredentials"] == [{"id": "b25l", "type": "public-key", "transports": ["usb"]}]


@pytest.mark.parametrize(
    ("stored", "said", "cloned"),
    [(0, 0, False), (0, 1, False), (4, 5, False), (5, 5, True), (5, 4, True), (5, 0, True)],
)
def test_a_counter_that_does_not_go_on_tells_of_a_copy(stored: int, said: int, cloned: bool) -> None:
    assert is_cloned(stored, said) == cloned
