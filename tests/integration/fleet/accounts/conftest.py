"""Accounts on a real database, and a passkey in software."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

from fleet.accounts import registry
from fleet.accounts.factors import Changed, Factors, GeneratorOffer
from fleet.accounts.granting import Actor
from fleet.accounts.passwords import Passwords
from fleet.accounts.roles import Grant, Role
from fleet.accounts.rules import AccountRules
from fleet.accounts.sessions import resume
from fleet.accounts.signing_in import CodeNeeded, Denied, SignedIn, SignIn
from fleet.accounts.visitor import Visitor
from fleet.app import account_rules
from fleet.audit.log import entries
from protocol import base64url

PASSWORD = "seven grey herons"
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
"""Flags of authenticator data. Source: W3C Web Authentication Level 2, 6.1."""


@dataclass
class Authenticator:
    """One authenticator with one passkey on P-256."""

    origin: str = "http://localhost:8080"
    is_verified: bool = True
    """Whether it asks for finger, face or PIN."""
    counter: int = 0
    """What it says at its next use; stays 0 for one that keeps none."""
    keeps_counter: bool = True
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user_handle: bytes = b""
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def written_id(self) -> str:
        """Return its id as browsers write it."""
        return base64url.encode(self.credential_id)

    def create(self, options: str, **client: str) -> str:
        """Answer `navigator.credentials.create`."""
        asked = json.loads(options)
        self.user_handle = base64url.decode(asked["user"]["id"])
        numbers = self._key.public_key().public_numbers()
        # COSE key: kty EC2, alg ES256, crv P-256, x, y. Source: RFC 9053, 7.1.1.
        public = {
            1: 2,
            3: -7,
            -1: 1,
            -2: numbers.x.to_bytes(32, "big"),
            -3: numbers.y.to_bytes(32, "big"),
        }
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + encode_cbor(public)
        data = self._data(asked["rp"]["id"], _ATTESTED) + attested
        return self._answer(
            {
                "clientDataJSON": self._client("webauthn.create", asked["challenge"], client),
                "attestationObject": encode_cbor({"fmt": "none", "attStmt": {}, "authData": data}),
            },
            transports=["internal"],
        )

    def get(self, options: str, **client: str) -> str:
        """Answer `navigator.credentials.get`."""
        asked = json.loads(options)
        if self.keeps_counter:
            self.counter += 1
        data = self._data(asked["rpId"], 0)
        client_data = self._client("webauthn.get", asked["challenge"], client)
        signed = self._key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": client_data,
                "authenticatorData": data,
                "signature": signed,
                "userHandle": self.user_handle,
            }
        )

    def _data(self, rp_id: str, flags: int) -> bytes:
        flags |= _PRESENT | (_VERIFIED if self.is_verified else 0)
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, self.counter)

    def _client(self, kind: str, challenge: str, changed: dict[str, str]) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **changed}
        return json.dumps(said).encode()

    def _answer(self, response: dict[str, bytes], **more: Any) -> str:
        encoded = self.written_id()
        return json.dumps(
            {
                "id": encoded,
                "rawId": encoded,
                "type": "public-key",
                "clientExtensionResults": {},
                "response": {**{name: base64url.encode(value) for name, value in response.items()}, **more},
            }
        )


@dataclass
class Desk:
    """Somebody signing in to the console of a fleet."""

    office: Any
    rules: AccountRules
    passwords: Passwords
    address: str = "192.0.2.7"

    @property
    def now(self) -> datetime:
        now: datetime = self.office.now
        return now

    @property
    def sign_in(self) -> SignIn:
        return SignIn(self.office.database, self.office.keys.cipher, self.passwords, self.rules)

    @property
    def factors(self) -> Factors:
        return Factors(self.office.database, self.office.keys.cipher, self.passwords, self.rules)

    def wait(self, **time: float) -> None:
        self.office.now += timedelta(**time)

    def keyboard(self, name: str = "Zhao Min") -> Actor:
        with self.office.database.begin() as connection:
            return registry.at_keyboard(connection, self.office.keys.cipher, name)

    def add(self, name: str, role: Role = Role.FLEET_ADMINISTRATOR, area: str | None = None) -> str:
        return registry.add_account(
            self.office.database,
            self.office.keys.cipher,
            self.keyboard(),
            name=name,
            grant=Grant(role, area),
            now=self.now,
        )

    def link(self, account_id: str) -> str:
        url = registry.make_link(
            self.office.database,
            self.office.keys.cipher,
            self.keyboard(),
            account_id,
            rules=self.rules,
            now=self.now,
        )
        return url.rpartition("/")[2]

    def arrive(self, account_id: str) -> str:
        """Sign in by a link and return the cookie."""
        done = self.sign_in.link(self.link(account_id), address=self.address, now=self.now)
        assert isinstance(done, SignedIn)
        return done.session.cookie

    def set_up(self, account_id: str, password: str = PASSWORD) -> tuple[str, str, tuple[str, ...]]:
        """Set up password and generator; return cookie, secret and recovery codes."""
        changed = self.factors.set_password(self.arrive(account_id), password, now=self.now)
        assert isinstance(changed, Changed)
        offer = self.factors.offer_generator(changed.session.cookie, now=self.now)
        assert isinstance(offer, GeneratorOffer)
        done = self.factors.confirm_generator(changed.session.cookie, self.code(offer.secret), now=self.now)
        assert isinstance(done, Changed)
        # The step of that code is used.
        self.wait(minutes=1)
        return done.session.cookie, offer.secret, done.recovery_codes

    def add_passkey(self, cookie: str, key: Authenticator) -> str:
        """Make a passkey and return the new cookie."""
        options = self.factors.passkey_options(cookie, now=self.now)
        assert isinstance(options, str)
        done = self.factors.add_passkey(cookie, key.create(options), label="desk", now=self.now)
        assert isinstance(done, Changed)
        return done.session.cookie

    def code(self, secret: str) -> str:
        return pyotp.TOTP(secret).at(self.now)

    def type_password(self, name: str, password: str = PASSWORD, **at: str) -> CodeNeeded | Denied:
        return self.sign_in.password(name, password, now=self.now, **{"address": self.address, **at})

    def type_code(self, pending: str, code: str) -> SignedIn | Denied:
        return self.sign_in.code(pending, code, address=self.address, now=self.now)

    def use_passkey(self, key: Authenticator, **client: str) -> SignedIn | Denied:
        options = self.sign_in.passkey_options(now=self.now)
        return self.sign_in.passkey(key.get(options, **client), address=self.address, now=self.now)

    def visitor(self, cookie: str, **more: bool) -> Visitor | None:
        with self.office.database.begin() as connection:
            return resume(connection, self.office.keys.cipher, cookie, now=self.now, rules=self.rules, **more)

    def audited(self) -> list[str]:
        with self.office.database.begin() as connection:
            return [entry.action for entry in entries(connection, object_kind="account")]


@pytest.fixture
def desk(office: Any) -> Desk:
    """A fleet without accounts."""
    passwords = Passwords(PasswordHasher.from_parameters(CHEAPEST))
    return Desk(office, account_rules(office.settings), passwords)


@pytest.fixture
def make_key() -> Callable[..., Authenticator]:
    """Make an authenticator."""
    return Authenticator
