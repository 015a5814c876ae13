"""Names of those who answer for something: stored sealed, with a keyed hash by which one person counts once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import Refused
from fleet.keys import FieldCipher

AS_GIVEN = "as_given"
"""Source of a name that somebody typed and nobody verified."""
ACCOUNT = "account"
"""Source of the name of somebody who was signed in."""
_LONGEST = 100


class AccountName(str):
    """The name of an account that is signed in; any other text is a name as somebody gave it. The source travels with the name."""

    __slots__ = ("account_id", "bound_to")
    account_id: str | None
    bound_to: frozenset[str]

    def __new__(cls, name: str, account_id: str | None = None, bound_to: frozenset[str] = frozenset()) -> AccountName:
        """Make it.

        Args:
            name: of the account.
            account_id: which account that is.
            bound_to: accounts after whose first words this one gives no second one.
        """
        made = super().__new__(cls, name)
        made.account_id = account_id
        made.bound_to = bound_to
        return made


@dataclass(frozen=True, slots=True)
class SealedName:
    """A name as it is stored."""

    sealed: bytes
    digest: bytes
    """32 bytes, the same for every way of writing the name; under another id the same name has another."""
    source: str
    """`AS_GIVEN` or `ACCOUNT`."""
    account_id: str | None = None
    """Whose account it is of, if anybody's."""
    bound_to: frozenset[str] = frozenset()
    """Accounts after whose first words this one gives no second one."""

    def demand_unbound(self, first: Iterable[str | None], what: str) -> None:
        """Refuse a second word where the first is of an account that one person may have in hand together with this one.

        Args:
            first: accounts of the words before; None where there is none.
            what: it is about, for the message.

        Raises:
            Refused: if it is so.
        """
        if self.bound_to.intersection(first):
            raise Refused(
                f"{what}: of the two accounts one was made, reset or linked by the other lately; another second person is needed",
                code="own_hand",
            )


def cleaned(given: str) -> str:
    """Return a name in one Unicode form with single spaces.

    Raises:
        Refused: if nothing is left of it, or it is too long.
    """
    name = " ".join(unicodedata.normalize("NFKC", given).split())
    if not name or len(name) > _LONGEST:
        raise Refused(f"name: 1 to {_LONGEST} characters expected", code="text_unusable", most=_LONGEST)
    return name


def seal_approver(cipher: FieldCipher, given: str, *, of: str) -> SealedName:
    """Return the name of somebody who approves, for storage.

    Args:
        cipher: the fleet's.
        given: the name.
        of: id of what is approved.

    Raises:
        Refused: as `cleaned`.
    """
    name = cleaned(given)
    return SealedName(
        sealed=cipher.encrypt(name, subject_id=of, field_name="approver"),
        digest=cipher.digest(bare(name), subject_id=of, field_name="approver"),
        source=ACCOUNT if isinstance(given, AccountName) else AS_GIVEN,
        account_id=given.account_id if isinstance(given, AccountName) else None,
        bound_to=given.bound_to if isinstance(given, AccountName) else frozenset(),
    )


def bare(name: str) -> str:
    """Return what is left of a name without white space, punctuation, case and forms of characters: two names with one rest are one name.

    Chinese names have no white space within, brackets and middle dots come in several widths, and an invisible character in a name
    would make a second person of one who may not be two. Where nothing else is left, the whole name is.
    """
    plain = folded(name)
    return "".join(each for each in plain if each.isalnum() or unicodedata.category(each)[0] in "MS") or plain


def folded(name: str) -> str:
    """Return what all ways of writing a name have in common. Source: the Unicode Standard, section 3.13, D146."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name).casefold())
    return " ".join(unicodedata.normalize("NFKC", once.casefold()).split())
