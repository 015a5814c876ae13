"""Passwords: which are taken, and how they are stored and checked; the door to argon2."""

from __future__ import annotations

import secrets
import tomllib
import unicodedata
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from fleet.accounts.turns import Turns
from fleet.store.names import folded

LONGEST = 256
"""Characters; NIST SP 800-63B-4, 3.1.1.2, asks for 64 at least, and a limit keeps hashing from being made to work for nothing."""
_LEAST_DIFFERENT = 5
"""Different characters of a password at least: fewer are a repetition. Source: NIST SP 800-63B (2017), 5.1.1.2, names repetitive
characters among what a list of refused passwords covers; the number is ours."""
AT_ONCE = 2
"""Hashes that are worked out at once; each takes 64 MiB and up to four cores for a tenth of a second."""
WAITING = 8
"""Sign-ins that wait for that; each holds one of the some forty threads that answer pages, and all others need theirs."""
WAIT_S = 5.0
"""So long each waits at most."""
_RUN = 3
"""Least characters along a row of the keyboard that count as a run."""
_LOOK_ALIKES = str.maketrans("013457@$!", "oieastasi")


class PasswordProblem(StrEnum):
    """Why a new password is not taken."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    UNUSABLE = "unusable"
    """It has control characters or what is no character."""
    OWN_NAME = "own_name"
    COMMON = "common"


class Passwords:
    """Hashes and checks passwords.

    Argon2id as the second recommended option of RFC 9106, section 4: 3 passes, 64 MiB, 4 lanes, 128-bit salt, 256-bit tag; more than the
    OWASP Password Storage Cheat Sheet asks for (19 MiB and 2 passes).

    Args:
        hasher: in place of that one; hashes of other parameters are still checked, and made anew.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._turns = Turns(AT_ONCE, waiting=WAITING, wait_s=WAIT_S)
        self._nobodys = self._hasher.hash(secrets.token_hex(16))

    def turn(self) -> AbstractContextManager[None]:
        """Give the turn that `hash` and `verify` take, for a block that does more than that.

        Raises:
            TooBusy: if there is none; then nothing was written down that counts against anybody.
        """
        return self._turns.one()

    def hash(self, password: str) -> str:
        """Return what is stored of a password, salt and parameters with it; raises TooBusy as `turn`."""
        with self.turn():
            return self._hasher.hash(prepared(password))

    def verify(self, stored: str | None, given: str) -> bool:
        """Return whether a password is the stored one; None takes as long and never is. Raises TooBusy as `turn`."""
        # What is far too long is nobody's; none is cut short, or its beginning would do.
        known, typed = (stored, given) if len(given) <= 4 * LONGEST else (None, "")
        with self.turn():
            try:
                is_right = self._hasher.verify(known or self._nobodys, prepared(typed))
            except (VerificationError, InvalidHashError):
                return False
        return is_right and known is not None

    def needs_rehash(self, stored: str) -> bool:
        """Return whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)


def prepared(password: str) -> str:
    """Return a password as it is compared: other spaces as the ASCII one, in composed form.

    Source: RFC 8265, 4.2.2 (OpaqueString); NIST SP 800-63B-4, 3.1.1.2, asks for the same form, NFC.
    """
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in password)
    # A lone surrogate is no text and cannot be encoded; what is wrong anyway must not be an error.
    return unicodedata.normalize("NFC", spaced).encode(errors="replace").decode()


def problems_of(password: str, *, name: str, least: int, service: str = "") -> list[PasswordProblem]:
    """Return why a new password is not taken; nothing is asked about which kinds of characters it has.

    Source: NIST SP 800-63B-4, 3.1.1.2: code points counted, no rules of composition, a list of refused ones, the whole password looked
    at and not a part of it.

    Args:
        password: as it was typed.
        name: of the account; a password that is nothing else is refused.
        least: characters.
        service: how the console is called.
    """
    found = []
    ready = prepared(password)
    if len(ready) < least:
        found.append(PasswordProblem.TOO_SHORT)
    if len(ready) > LONGEST:
        return [PasswordProblem.TOO_LONG]
    if any(unicodedata.category(each) in ("Cc", "Cs", "Cn", "Co") for each in password):
        found.append(PasswordProblem.UNUSABLE)
    own = frozenset(filter(None, (_bare(name), *map(_bare, name.split()))))
    if any(word in _bare(ready) for word in own) and _is_made_of(ready, own, frozenset()):
        found.append(PasswordProblem.OWN_NAME)
    elif _is_common(ready, own | {_bare(word) for word in service.split()}):
        found.append(PasswordProblem.COMMON)
    return found


def _is_common(password: str, more: frozenset[str]) -> bool:
    if len(set(folded(password))) < _LEAST_DIFFERENT:
        return True
    words, runs = _words()
    return bool(_bare(password)) and _is_made_of(password, words | more, runs)


def _bare(text: str) -> str:
    """Return letters and digits of a text, folded."""
    return "".join(each for each in folded(text) if each.isalnum())


def _is_made_of(password: str, words: frozenset[str], runs: frozenset[str]) -> bool:
    """Return whether a password is words, runs along the keyboard, digits and signs, one after another.

    A sign or digit counts as the letter it looks like as well.
    """
    raw = folded(password)
    alike = raw.translate(_LOOK_ALIKES)
    longest = max(map(len, words | runs), default=0)
    reached = {0}
    for start in range(len(raw)):
        if start not in reached:
            continue
        if raw[start].isdigit() or not raw[start].isalnum():
            reached.add(start + 1)
        for end in range(start + 1, min(start + longest, len(raw)) + 1):
            if not words.isdisjoint((raw[start:end], alike[start:end])) or raw[start:end] in runs:
                reached.add(end)
    return len(raw) in reached


@cache
def _words() -> tuple[frozenset[str], frozenset[str]]:
    found = tomllib.loads((Path(__file__).parent / "common_passwords.toml").read_text(encoding="utf-8"))
    rows = [row for each in found["keyboard"] for row in (each, each[::-1])]
    runs = {row[start:end] for row in rows for start in range(len(row)) for end in range(start + _RUN, len(row) + 1)}
    return frozenset([*found["common"], *found["chinese"], *found["context"]]), frozenset(runs)
