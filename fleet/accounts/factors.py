"""What somebody signs in with, as they change it themselves: password, code generator, passkeys, recovery codes.

Each change gives the session another cookie value, which the page sets. It takes a sign-in of a few minutes ago, so that a screen that was
left alone gives nobody a lasting way in. Source: OWASP ASVS 5.0, 7.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from fleet.accounts import passkeys, recovery, totp
from fleet.accounts.attempts import attempt_of, begin_attempt, forgive
from fleet.accounts.naming import name_digest, open_name
from fleet.accounts.passwords import PasswordProblem, Passwords, problems_of
from fleet.accounts.rules import AccountRules
from fleet.accounts.sessions import How, NewSession, find, renew
from fleet.accounts.tokens import digest_of, make_challenge
from fleet.audit.log import note
from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store import accounts as store
from fleet.store import sessions as session_store
from fleet.store.accounts import StoredAccount, StoredPasskey
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.sessions import StoredSession, TokenKind
from protocol import base64url

MOST_PASSKEYS = 20
"""Passkeys of one account; two or three are usual."""


class Problem(StrEnum):
    """Why nothing was changed."""

    SIGNED_OUT = "signed_out"
    SIGN_IN_AGAIN = "sign_in_again"
    """The sign-in is too long ago."""
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - no password
    WRONG_CODE = "wrong_code"
    NOT_OFFERED = "not_offered"
    """There is no new secret to show a code of: begin anew."""
    WRONG_PASSKEY = "wrong_passkey"
    TOO_MANY = "too_many"
    LABEL = "label"
    """The passkey's name has 1 to 100 characters."""
    NO_SUCH_PASSKEY = "no_such_passkey"
    LAST_WAY_IN = "last_way_in"
    """Without it the account could not sign in any more."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Something was changed: set the cookie."""

    session: NewSession
    recovery_codes: tuple[str, ...] = ()
    """New ones, to be shown once."""


@dataclass(frozen=True, slots=True)
class NotChanged:
    """Nothing was changed."""

    problems: tuple[Problem | PasswordProblem, ...]


@dataclass(frozen=True, slots=True)
class GeneratorOffer:
    """A secret for a code generator, in use once a code of it was shown."""

    secret: str
    """Base32, to be typed in where no picture can be read."""
    uri: str
    """For the QR code."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it."""

    passkey_id: str
    """Base64url."""
    label: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ways:
    """What somebody can sign in with."""

    has_password: bool
    has_generator: bool
    passkeys: tuple[Passkey, ...]
    recovery_codes_left: int
    is_set_up: bool
    """Whether that is enough to sign in without a link."""


@dataclass(frozen=True, slots=True)
class _Own:
    session: StoredSession
    account: StoredAccount
    name: str


class Factors:
    """Changes what somebody signs in with.

    Args:
        database: the fleet's.
        cipher: the fleet's.
        passwords: as `SignIn`.
        rules: of the settings.
    """

    def __init__(self, database: Database, cipher: FieldCipher, passwords: Passwords, rules: AccountRules) -> None:
        self._database = database
        self._cipher = cipher
        self._passwords = passwords
        self._rules = rules

    def ways(self, cookie: str, *, now: datetime) -> Ways | None:
        """Return what whoever asks can sign in with; None if nobody is signed in."""
        with self._database.begin() as connection:
            own = self._own(connection, cookie, now)
            if own is None:
                return None
            account = own.account
            found = store.passkeys_of(connection, account.account_id)
            left = store.recovery_codes_left(connection, account.account_id)
        shown = tuple(
            Passkey(base64url.encode(each.credential_id), self._label(each), each.added_at, each.last_used_at)
            for each in found
        )
        return Ways(account.password_hash is not None, account.totp_sealed is not None, shown, left, account.is_set_up)

    def set_password(self, cookie: str, new: str, *, current: str | None = None, now: datetime) -> Changed | NotChanged:
        """Set a password; all other sessions end.

        Args:
            cookie: of whoever asks.
            new: as it was typed.
            current: the one in use, as it was typed; not asked for where there is none, or by somebody who came by a link.
            now: the present moment.

        Raises:
            TooBusy: if too many passwords are looked at now; nothing was changed.
        """
        with self._passwords.turn():
            return self._set_password(cookie, new, current, now)

    def _set_password(self, cookie: str, new: str, current: str | None, now: datetime) -> Changed | NotChanged:
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
        if isinstance(own, NotChanged):
            return own
        found = problems_of(new, name=own.name, least=self._rules.password_min, service=self._rules.service)
        if found:
            return NotChanged(tuple(found))
        stored = own.account.password_hash
        if own.session.how != How.LINK and stored is not None and not self._knows(own, stored, current or "", now):
            return NotChanged((Problem.WRONG_PASSWORD,))
        hashed = self._passwords.hash(new)
        with self._database.begin() as connection:
            again = self._fresh(connection, cookie, now)
            if isinstance(again, NotChanged):
                return again
            if again.account.password_hash != stored:
                return NotChanged((Problem.WRONG_PASSWORD,))
            store.set_password(connection, again.account.account_id, hashed)
            return self._changed(connection, again, "account.password_changed", now, ends_others=True)

    def offer_generator(self, cookie: str, *, now: datetime) -> GeneratorOffer | NotChanged:
        """Return a new secret for a code generator; the one in use stays until a code of the new one is shown."""
        secret = totp.make_secret()
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
            if isinstance(own, NotChanged):
                return own
            who = own.account.account_id
            store.offer_totp(connection, who, self._cipher.encrypt(secret, subject_id=who, field_name="totp"))
        return GeneratorOffer(secret, totp.uri_of(secret, name=own.name, service=self._rules.service))

    def confirm_generator(self, cookie: str, code: str, *, now: datetime) -> Changed | NotChanged:
        """Let the offered secret be in use if this is a code of it; all other sessions end, and without recovery codes some are made."""
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
            if isinstance(own, NotChanged):
                return own
            who, offered = own.account.account_id, own.account.totp_offered
            if offered is None:
                return NotChanged((Problem.NOT_OFFERED,))
            secret = self._cipher.decrypt(offered, subject_id=who, field_name="totp")
            step = totp.matching_step(secret, code, now=now, last_step=0)
            if step is None:
                return NotChanged((Problem.WRONG_CODE,))
            store.confirm_totp(connection, who, step=step)
            codes = () if store.recovery_codes_left(connection, who) else self._new_codes(connection, who)
            return self._changed(
                connection, own, "account.generator_changed", now, ends_others=True, recovery_codes=codes
            )

    def passkey_options(self, cookie: str, *, now: datetime) -> str | NotChanged:
        """Return JSON to ask a browser for a new passkey."""
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
            if isinstance(own, NotChanged):
                return own
            who = own.account.account_id
            known = [each.credential_id for each in store.passkeys_of(connection, who)]
            if len(known) >= MOST_PASSKEYS:
                return NotChanged((Problem.TOO_MANY,))
            challenge = make_challenge(connection, TokenKind.PASSKEY_NEW, who, lifetime=passkeys.TIMEOUT, now=now)
        return passkeys.registration_options(
            self._rules, account_id=who, name=own.name, challenge=challenge, known=known
        )

    def add_passkey(self, cookie: str, answer: str, *, label: str, now: datetime) -> Changed | NotChanged:
        """Store a new passkey.

        Args:
            cookie: of whoever asks.
            answer: JSON of the browser (`PublicKeyCredential.toJSON`).
            label: what its owner calls it.
            now: the present moment.
        """
        try:
            shown = cleaned(label)
        except Refused:
            return NotChanged((Problem.LABEL,))
        challenge = passkeys.read_registration(answer)
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
            if isinstance(own, NotChanged):
                return own
            who = own.account.account_id
            taken = challenge and session_store.take_token(
                connection, digest_of(challenge), TokenKind.PASSKEY_NEW, now=now
            )
            made = (
                passkeys.verify_registration(self._rules, answer, challenge=challenge)
                if challenge and taken == (who,)
                else None
            )
            if made is None:
                return NotChanged((Problem.WRONG_PASSKEY,))
            if own.account.passkeys >= MOST_PASSKEYS:
                return NotChanged((Problem.TOO_MANY,))
            sealed = self._cipher.encrypt(shown, subject_id=who, field_name="passkey")
            stored = StoredPasskey(
                made.credential_id, who, made.public_key, made.sign_count, sealed, made.transports, now, None
            )
            if not store.add_passkey(connection, stored):
                return NotChanged((Problem.WRONG_PASSKEY,))
            return self._changed(connection, own, "account.passkey_added", now)

    def remove_passkey(self, cookie: str, passkey_id: str, *, now: datetime) -> Changed | NotChanged:
        """Delete a passkey, unless nothing else would be left; all other sessions end."""
        try:
            credential_id = base64url.decode(passkey_id)
        except ValueError:
            return NotChanged((Problem.NO_SUCH_PASSKEY,))
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
            if isinstance(own, NotChanged):
                return own
            account = own.account
            known = {each.credential_id for each in store.passkeys_of(connection, account.account_id)}
            if credential_id not in known:
                return NotChanged((Problem.NO_SUCH_PASSKEY,))
            if len(known) == 1 and (account.password_hash is None or account.totp_sealed is None):
                return NotChanged((Problem.LAST_WAY_IN,))
            store.delete_passkey(connection, account.account_id, credential_id)
            return self._changed(connection, own, "account.passkey_removed", now, ends_others=True)

    def new_recovery_codes(self, cookie: str, *, now: datetime) -> Changed | NotChanged:
        """Make new recovery codes in place of those there were."""
        with self._database.begin() as connection:
            own = self._fresh(connection, cookie, now)
            if isinstance(own, NotChanged):
                return own
            codes = self._new_codes(connection, own.account.account_id)
            return self._changed(connection, own, "account.recovery_codes_made", now, recovery_codes=codes)

    def _knows(self, own: _Own, stored: str, current: str, now: datetime) -> bool:
        """Return whether this is the password in use; wrong ones count as at a sign-in, so that no open screen is a place to guess."""
        with self._database.begin() as connection:
            attempt = attempt_of(
                connection,
                self._cipher,
                who=name_digest(self._cipher, own.name),
                account_id=own.account.account_id,
                address=own.session.address_hash,
                step="password",
            )
            begun = begin_attempt(connection, attempt, now=now)
        if not self._passwords.verify(stored if begun.is_heard else None, current):
            return False
        with self._database.begin() as connection:
            forgive(connection, attempt)
        return True

    def _own(self, connection: Connection, cookie: str, now: datetime) -> _Own | None:
        found = find(connection, cookie, now=now, rules=self._rules)
        if found is None:
            return None
        who = found.session.account_id
        account = store.find_account(connection, who, lock=True)
        if account is None:
            return None
        return _Own(found.session, account, open_name(self._cipher, found.name_sealed, account_id=who))

    def _fresh(self, connection: Connection, cookie: str, now: datetime) -> _Own | NotChanged:
        own = self._own(connection, cookie, now)
        if own is None:
            return NotChanged((Problem.SIGNED_OUT,))
        # Setting up goes on as long as the session: they came by a link just now and have nothing to sign in with again.
        if not own.session.must_set_up and now - own.session.signed_in_at > self._rules.fresh:
            return NotChanged((Problem.SIGN_IN_AGAIN,))
        return own

    def _changed(
        self,
        connection: Connection,
        own: _Own,
        action: str,
        now: datetime,
        *,
        ends_others: bool = False,
        recovery_codes: tuple[str, ...] = (),
    ) -> Changed:
        who = own.account.account_id
        account = store.find_account(connection, who)
        if ends_others:
            session_store.end_sessions(connection, who, now=now, but=own.session.session_id)
            # Sign-ins that wait for a second factor began with what is no longer so.
            session_store.delete_tokens(connection, who)
        session = renew(connection, own.session, must_set_up=account is None or not account.is_set_up, now=now)
        note(
            connection,
            self._cipher,
            actor=own.name,
            action=action,
            object_kind="account",
            object_id=who,
            now=now,
        )
        return Changed(session, recovery_codes)

    def _new_codes(self, connection: Connection, account_id: str) -> tuple[str, ...]:
        codes = recovery.make_codes()
        digests = [recovery.digest_of(self._cipher, account_id, code) for code in codes]
        store.replace_recovery_codes(connection, account_id, [digest for digest in digests if digest is not None])
        return codes

    def _label(self, passkey: StoredPasskey) -> str:
        return self._cipher.decrypt(passkey.label_sealed, subject_id=passkey.account_id, field_name="passkey")
