"""Signing in, step by step, as pages do it: each step takes what was typed and returns what comes next.

What is wrong is a value and no error, and the same one for an unknown name, a wrong password, an account that is disabled and one that
waits after too many failures: whoever guesses learns nothing from it, nor from the time it takes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from fleet.accounts import passkeys, recovery, totp
from fleet.accounts.attempts import Attempt, attempt_of, begin_attempt, forgive
from fleet.accounts.failures import count_failure
from fleet.accounts.naming import name_digest, open_name
from fleet.accounts.passkeys import Asserted
from fleet.accounts.passwords import Passwords
from fleet.accounts.rules import AccountRules
from fleet.accounts.sessions import How, NewSession, address_hash, begin
from fleet.accounts.tokens import digest_of, make_challenge, make_token
from fleet.audit.log import note
from fleet.keys import FieldCipher
from fleet.store import accounts as store
from fleet.store import sessions as session_store
from fleet.store.accounts import StoredAccount, StoredPasskey
from fleet.store.database import Database
from fleet.store.sessions import TokenKind

logger = logging.getLogger(__name__)

PENDING = timedelta(minutes=10)
"""So long the second factor may take. Source: NIST SP 800-63B-4, 3.1.3.2, what it gives somebody who fetches a code from another device."""
_CODES = 5
"""Wrong codes after which the password is asked for anew."""
_OBJECT = "account"
_NAME_LENGTH = 1000
"""Characters of a name that are looked at; no account has more than 100."""


class Why(StrEnum):
    """Why a step did not sign anybody in."""

    WRONG = "wrong"
    """Name, password, code or passkey; or the account is disabled; or it waits."""
    EXPIRED = "expired"
    """The step before is too long ago, was used up, or was not taken here: begin anew."""
    NOT_SET_UP = "not_set_up"
    """The password is right, and there is no second factor: a link is needed."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody is signed in: set the cookie."""

    session: NewSession
    how: How
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The password was right: ask for a code, or for a passkey if there is one."""

    pending: str
    """Token of the sign-in so far, for the form of the next step or a short-lived cookie."""
    has_generator: bool
    """Whether a code of a generator will do; a recovery code always will."""
    has_passkeys: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """Nobody is signed in."""

    why: Why


class SignIn:
    """The steps of signing in.

    Args:
        database: the fleet's.
        cipher: the fleet's.
        passwords: made once; it is slow to make.
        rules: of the settings.
    """

    def __init__(self, database: Database, cipher: FieldCipher, passwords: Passwords, rules: AccountRules) -> None:
        self._database = database
        self._cipher = cipher
        self._passwords = passwords
        self._rules = rules

    def password(self, name: str, password: str, *, address: str, now: datetime) -> CodeNeeded | Denied:
        """Check name and password, the first step.

        Args:
            name: as it was typed.
            password: as it was typed.
            address: the client's, of IP.
            now: the present moment.

        Raises:
            TooBusy: if too many sign in at once; this one does not count as an attempt.
        """
        with self._passwords.turn():
            return self._password(name, password, address=address, now=now)

    def _password(self, name: str, password: str, *, address: str, now: datetime) -> CodeNeeded | Denied:
        who, where = name_digest(self._cipher, name[:_NAME_LENGTH]), address_hash(self._cipher, address)
        with self._database.begin() as connection:
            found = store.find_by_name(connection, who)
            attempt = attempt_of(
                connection,
                self._cipher,
                who=who,
                account_id=None if found is None else found.account_id,
                address=where,
                step="password",
            )
            begun = begin_attempt(connection, attempt, now=now)
        usable = found if begun.is_heard and found is not None and found.disabled_at is None else None
        stored = None if usable is None else usable.password_hash
        # Outside of any transaction: it takes a tenth of a second, for nobody as well.
        is_right = self._passwords.verify(stored, password)
        if usable is None or stored is None or not is_right:
            account_id = None if found is None else found.account_id
            with self._database.begin() as connection:
                # The same work for a name that exists and for one that does not.
                count_failure(
                    connection,
                    who=who,
                    account_id=account_id,
                    address=where,
                    step="password",
                    is_heard=begun.is_heard,
                    now=now,
                )
            if begun.locks:
                logger.warning("sign-in slowed down account=%s", found.account_id if found else "none")
            return Denied(Why.WRONG)
        return self._after_password(usable.account_id, stored, password, attempt, now)

    def code(self, pending: str, code: str, *, address: str, now: datetime) -> SignedIn | Denied:
        """Check a code of the generator or a recovery code, the second step.

        Args:
            pending: token of the first step.
            code: as it was typed.
            address: the client's, of IP.
            now: the present moment.
        """
        where, token = address_hash(self._cipher, address), digest_of(pending)
        with self._database.begin() as connection:
            account = self._whose(connection, token, TokenKind.PENDING, now)
            if account is None:
                return Denied(Why.EXPIRED)
            attempt = attempt_of(
                connection,
                self._cipher,
                who=account.account_id.encode(),
                account_id=account.account_id,
                address=where,
                step="code",
            )
            begun = begin_attempt(connection, attempt, now=now)
            how = self._check_code(connection, account, code, now) if begun.is_heard else None
            if how is None:
                count_failure(
                    connection,
                    who=account.account_id.encode(),
                    account_id=account.account_id,
                    address=where,
                    step="code",
                    is_heard=begun.is_heard,
                    now=now,
                )
            if not begun.is_heard:
                return Denied(Why.WRONG)
            if how is None:
                session_store.fail_token(connection, token, most=_CODES)
                if begun.locks:
                    self._note(connection, "account.locked", account, now, actor="fleet", step="code")
                return Denied(Why.WRONG)
            session_store.take_token(connection, token, TokenKind.PENDING, now=now)
            forgive(connection, attempt)
            return self._signed_in(connection, account, how, where, now)

    def passkey_options(self, *, now: datetime, pending: str | None = None) -> str:
        """Return JSON to ask a browser for a passkey: any of this console, or after a password those of that account.

        Args:
            now: the present moment.
            pending: token of the first step, if it was taken.
        """
        with self._database.begin() as connection:
            known = None
            if pending is not None:
                known = session_store.find_token(connection, digest_of(pending), TokenKind.PENDING, now=now)
            account_id = None if known is None else known[0]
            allowed = [] if account_id is None else store.passkeys_of(connection, account_id)
            challenge = make_challenge(
                connection, TokenKind.PASSKEY_SIGN_IN, account_id, lifetime=passkeys.TIMEOUT, now=now
            )
        return passkeys.authentication_options(
            self._rules, challenge=challenge, allowed=[(each.credential_id, each.transports) for each in allowed]
        )

    def passkey(self, answer: str, *, address: str, now: datetime) -> SignedIn | Denied:
        """Check a passkey, which is a whole sign-in; locks do not concern it.

        Args:
            answer: JSON of the browser (`PublicKeyCredential.toJSON`).
            address: the client's, of IP.
            now: the present moment.
        """
        claimed = passkeys.read_assertion(answer)
        if claimed is None:
            return Denied(Why.WRONG)
        where = address_hash(self._cipher, address)
        with self._database.begin() as connection:
            stored = store.find_passkey(connection, claimed.credential_id)
            account = None if stored is None else store.find_account(connection, stored.account_id, lock=True)
            # Used up by whatever answer: none is tried twice.
            asked = session_store.take_token(
                connection, digest_of(claimed.challenge), TokenKind.PASSKEY_SIGN_IN, now=now
            )
            if asked is None:
                return Denied(Why.EXPIRED)
            # As it is now that the account is locked: its counter may have gone on meanwhile.
            stored = store.find_passkey(connection, claimed.credential_id)
            if stored is None or account is None or account.disabled_at is not None:
                return Denied(Why.WRONG)
            if not self._is_right(connection, account, stored, claimed, asked[0], answer, now):
                return Denied(Why.WRONG)
            return self._signed_in(connection, account, How.PASSKEY, where, now)

    def link(self, token: str, *, address: str, now: datetime) -> SignedIn | Denied:
        """Sign in by a link, which uses it up: only for a form that somebody sent, or a preview of the address would use it.

        Args:
            token: of the address.
            address: the client's, of IP.
            now: the present moment.
        """
        with self._database.begin() as connection:
            account = self._whose(connection, digest_of(token), TokenKind.LINK, now)
            if account is None:
                return Denied(Why.EXPIRED)
            session_store.take_token(connection, digest_of(token), TokenKind.LINK, now=now)
            return self._signed_in(connection, account, How.LINK, address_hash(self._cipher, address), now)

    def _whose(self, connection: Connection, token: bytes, kind: TokenKind, now: datetime) -> StoredAccount | None:
        """Return the account in service whose token this is, locked, or None.

        Whoever changes an account locks it before its tokens, so it is first here too; then the token may be gone.
        """
        known = session_store.find_token(connection, token, kind, now=now)
        if known is None or known[0] is None:
            return None
        account = store.find_account(connection, known[0], lock=True)
        if account is None or account.disabled_at is not None:
            return None
        return account if session_store.find_token(connection, token, kind, now=now) else None

    def _is_right(
        self,
        connection: Connection,
        account: StoredAccount,
        stored: StoredPasskey,
        claimed: Asserted,
        asked: str | None,
        answer: str,
        now: datetime,
    ) -> bool:
        """Return whether a passkey's answer signs in, and note its counter."""
        if asked not in (None, account.account_id):
            return False
        if claimed.user_handle not in (None, account.account_id.encode()):
            return False
        said = passkeys.verify_assertion(self._rules, answer, challenge=claimed.challenge, public_key=stored.public_key)
        if said is None:
            return False
        if passkeys.is_cloned(stored.sign_count, said):
            self._note(connection, "account.passkey_copied", account, now, actor="fleet", counter=said)
            return False
        store.use_passkey(connection, stored.credential_id, sign_count=said, now=now)
        return True

    def _after_password(
        self, account_id: str, stored: str, password: str, attempt: Attempt, now: datetime
    ) -> CodeNeeded | Denied:
        anew = self._passwords.hash(password) if self._passwords.needs_rehash(stored) else None
        with self._database.begin() as connection:
            # What was checked outside of a transaction may be another's meanwhile.
            account = store.find_account(connection, account_id, lock=True)
            if account is None or account.disabled_at is not None or account.password_hash != stored:
                return Denied(Why.WRONG)
            forgive(connection, attempt)
            if anew is not None:
                store.set_password(connection, account_id, anew)
            if not account.is_set_up:
                return Denied(Why.NOT_SET_UP)
            pending = make_token(connection, TokenKind.PENDING, account_id, lifetime=PENDING, now=now)
        return CodeNeeded(pending, account.totp_sealed is not None, account.passkeys > 0)

    def _check_code(self, connection: Connection, account: StoredAccount, code: str, now: datetime) -> How | None:
        if account.totp_sealed is not None:
            secret = self._cipher.decrypt(account.totp_sealed, subject_id=account.account_id, field_name="totp")
            step = totp.matching_step(secret, code, now=now, last_step=account.totp_step)
            if step is not None:
                store.use_totp_step(connection, account.account_id, step)
                return How.CODE
        digest = recovery.digest_of(self._cipher, account.account_id, code)
        if digest is not None and store.use_recovery_code(connection, account.account_id, digest):
            return How.RECOVERY_CODE
        return None

    def _signed_in(
        self, connection: Connection, account: StoredAccount, how: How, where: bytes, now: datetime
    ) -> SignedIn:
        session = begin(
            connection,
            account.account_id,
            how,
            must_set_up=not account.is_set_up,
            address_hash=where,
            now=now,
        )
        left = store.recovery_codes_left(connection, account.account_id)
        self._note(connection, "account.signed_in", account, now, how=how.value)
        return SignedIn(session, how, left)

    def _note(
        self,
        connection: Connection,
        action: str,
        account: StoredAccount,
        now: datetime,
        *,
        actor: str | None = None,
        **detail: object,
    ) -> None:
        note(
            connection,
            self._cipher,
            actor=actor or open_name(self._cipher, account.name_sealed, account_id=account.account_id),
            action=action,
            object_kind=_OBJECT,
            object_id=account.account_id,
            detail=detail,
            now=now,
        )
