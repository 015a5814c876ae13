"""Passkeys with a real browser: its virtual authenticator takes our options, and we take its answers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from fleet.accounts.factors import Changed
from fleet.accounts.sessions import How
from fleet.accounts.signing_in import SignedIn

pytestmark = [pytest.mark.integration, pytest.mark.browser]

CREATE = """async options => JSON.stringify((await navigator.credentials.create(
    {publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options))})).toJSON())"""
GET = """async options => JSON.stringify((await navigator.credentials.get(
    {publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options))})).toJSON())"""


def test_a_passkey_is_made_and_signs_in_with_and_without_a_password_before(desk: Any, chromium: Browser) -> None:
    page = chromium.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<title>x</title>", content_type="text/html"))
    page.goto(desk.rules.url)
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    authenticator = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})

    cookie, _, _ = desk.set_up(desk.add("王芳"))
    answer = page.evaluate(CREATE, desk.factors.passkey_options(cookie, now=desk.now))
    assert isinstance(desk.factors.add_passkey(cookie, answer, label="desk", now=desk.now), Changed)
    pending = desk.type_password("王芳").pending
    for more in ({}, {"pending": pending}):
        answer = page.evaluate(GET, desk.sign_in.passkey_options(now=desk.now, **more))
        done = desk.sign_in.passkey(answer, address=desk.address, now=desk.now)
        assert isinstance(done, SignedIn)
        assert done.how is How.PASSKEY
    page.close()
