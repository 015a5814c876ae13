"""Passkeys (WebAuthn): what a browser is asked, and whether its answer is right; the door to `webauthn`.

User verification is required, at registration and at each use: the authenticator asks for a finger, face or PIN, so that a passkey alone is
both factors. Source: W3C Web Authentication Level 2, 4 (user verification); NIST SP 800-63B-4, 3.1.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from fleet.accounts.rules import AccountRules

CHALLENGE_BYTES = 32
"""Length of a challenge. Source: W3C Web Authentication Level 2, 13.4.3, asks for 16 at least."""
TIMEOUT = timedelta(minutes=5)
"""How long a browser waits and a challenge is good. Source: W3C Web Authentication Level 2, 15.1, for user verification."""
LONGEST_ANSWER = 64 * 1024
"""Characters of an answer that are looked at; one has about two thousand."""

_NO_ANSWER = (WebAuthnException, ValueError, KeyError, TypeError, RecursionError)
"""What the library and the parsers below it raise for whatever is no answer of a browser."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey."""

    credential_id: bytes
    public_key: bytes
    """COSE key."""
    sign_count: int
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a passkey said at a sign-in."""

    credential_id: bytes
    challenge: bytes
    user_handle: bytes | None
    """Whose it is, as it was told when it was made."""


def registration_options(
    rules: AccountRules, *, account_id: str, name: str, challenge: bytes, known: Sequence[bytes]
) -> str:
    """Return JSON for `PublicKeyCredential.parseCreationOptionsFromJSON` and `navigator.credentials.create`.

    Args:
        rules: with the relying party.
        account_id: whose it will be.
        name: what the authenticator shows.
        challenge: random, kept until the answer.
        known: passkeys that this account has; an authenticator makes no second one.
    """
    return options_to_json(
        generate_registration_options(
            rp_id=rules.rp_id,
            rp_name=rules.service,
            user_name=name,
            user_display_name=name,
            user_id=account_id.encode(),
            challenge=challenge,
            timeout=int(TIMEOUT.total_seconds() * 1000),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        )
    )


def authentication_options(
    rules: AccountRules, *, challenge: bytes, allowed: Sequence[tuple[bytes, Sequence[str]]] = ()
) -> str:
    """Return JSON for `PublicKeyCredential.parseRequestOptionsFromJSON` and `navigator.credentials.get`.

    Args:
        rules: with the relying party.
        challenge: random, kept until the answer.
        allowed: passkeys that are asked for, with their transports; any of this relying party if none are named.
    """
    return options_to_json(
        generate_authentication_options(
            rp_id=rules.rp_id,
            challenge=challenge,
            timeout=int(TIMEOUT.total_seconds() * 1000),
            allow_credentials=[
                PublicKeyCredentialDescriptor(id=each, transports=[AuthenticatorTransport(way) for way in ways] or None)
                for each, ways in allowed
            ],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def read_registration(answer: str) -> bytes | None:
    """Return the challenge that a browser's answer claims to be for, not yet verified; None if it is no answer."""
    if len(answer) > LONGEST_ANSWER:
        return None
    try:
        credential = parse_registration_credential_json(answer)
        return parse_client_data_json(credential.response.client_data_json).challenge
    except _NO_ANSWER:
        return None


def read_assertion(answer: str) -> Asserted | None:
    """Return what a browser's answer claims, not yet verified; None if it is no answer."""
    if len(answer) > LONGEST_ANSWER:
        return None
    try:
        credential = parse_authentication_credential_json(answer)
        challenge = parse_client_data_json(credential.response.client_data_json).challenge
        return Asserted(base64url_to_bytes(credential.id), challenge, credential.response.user_handle)
    except _NO_ANSWER:
        return None


def verify_registration(rules: AccountRules, answer: str, *, challenge: bytes) -> Registered | None:
    """Return the new passkey, or None if the answer is not a right one to this challenge from one of the console's addresses."""
    try:
        credential = parse_registration_credential_json(answer)
        found = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rules.rp_id,
            expected_origin=list(rules.origins),
            require_user_verification=True,
        )
    except _NO_ANSWER:
        return None
    ways = tuple(sorted(way.value for way in credential.response.transports or ()))
    return Registered(found.credential_id, found.credential_public_key, found.sign_count, ways)


def verify_assertion(rules: AccountRules, answer: str, *, challenge: bytes, public_key: bytes) -> int | None:
    """Return the sign counter of a right answer, or None for any other; whether the counter went on is for `is_cloned` to say."""
    try:
        return verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=rules.rp_id,
            expected_origin=list(rules.origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        ).new_sign_count
    except _NO_ANSWER:
        return None


def is_cloned(stored: int, said: int) -> bool:
    """Return whether a sign counter that did not go on tells of a copy of the key; one that stays 0 is not kept by its authenticator.

    Source: W3C Web Authentication Level 2, 6.1.1.
    """
    return (stored > 0 or said > 0) and said <= stored
