"""Identity documents a person can claim with, and the keyed token that stands for one on the wire.

The number itself never leaves the terminal's memory: records and rosters carry `claim_token`, a keyed hash, so that who
reads the broker or a lost card learns nobody's number. The key belongs to the fleet and reaches terminals sealed, with the roster.

A token stands for the person as far as the number lets it: an old and a new form of one number give one token. What was told apart
by issue only (how often a permit was renewed) is left out of the number for that reason.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from protocol import base64url
from protocol.errors import Malformed
from protocol.mrz import FILLER, parse_zone

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_LONGEST = 200
"""Characters of the longest text that is looked at: twice a machine-readable zone."""
_PROVINCE = "(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-6]|71|8[12])"
"""Codes of provinces. Source: GB/T 2260; 66 is used by the Xinjiang Production and Construction Corps."""
MASK_LEAST, MASK_MOST = 2, 4
"""Characters shown of a short and of a long number."""
_LONG = 15
"""Length of the resident numbers of the first generation; permits and passports have 8 to 11 characters."""
_CENTENARIANS = frozenset({"996", "997", "998", "999"})


class DocumentKind(StrEnum):
    """Kinds of identity document. Source: R4-16."""

    RESIDENT_ID = "resident_id"
    """Resident identity card, 18 digits or the 15 of the first generation; also the number on a social-security card."""
    HK_MACAO_PERMIT = "hk_macao_permit"
    """Mainland travel permit for residents of Hong Kong and Macao (home-return permit), Chinese or not."""
    TAIWAN_PERMIT = "taiwan_permit"
    """Mainland travel permit for residents of Taiwan."""
    RESIDENCE_PERMIT = "residence_permit"
    """Residence permit for residents of Hong Kong, Macao and Taiwan."""
    PASSPORT = "passport"
    FOREIGN_PERMANENT_RESIDENCE = "foreign_permanent_residence"
    """Foreigner's permanent residence card."""


_DATED = frozenset({DocumentKind.RESIDENT_ID, DocumentKind.RESIDENCE_PERMIT, DocumentKind.FOREIGN_PERMANENT_RESIDENCE})
_DATED_LENGTH = 18
"""Numbers of these kinds with 18 characters have the date of birth as digits 7 to 14. Source: GB 11643-1999."""


@dataclass(frozen=True, slots=True)
class IdentityDocument:
    """A document number that passed its own checks; its repr shows no digit."""

    kind: DocumentKind
    number: str
    """In its one form: a number that has several is kept in the newest, without what a renewal changes."""
    issuer: str = ""
    """Issuing state of a passport as in its machine-readable zone; two states may give one number. Empty for the other kinds."""

    def __repr__(self) -> str:
        return f"IdentityDocument({self.kind})"

    @property
    def text(self) -> str:
        """The document in one line, which `parse_document` reads again: kind, issuer of a passport, number."""
        return ":".join(part for part in (self.kind.value, self.issuer, self.number) if part)


def parse_document(text: str, kind: DocumentKind | None = None, *, issuer: str = "") -> IdentityDocument:
    """Read a document number as it was typed, or as a reader types it, or a whole machine-readable zone.

    White space, hyphens, characters that cannot be seen, full-width forms and small letters are no fault.

    Args:
        text: the number; or the zone of a passport or permit; or what `IdentityDocument.text` gives.
        kind: the kind that was chosen. Without one only texts are taken that no other kind's number looks like: eight or ten digits may be
            a Taiwan permit's, and need it.
        issuer: issuing state of a passport, one to three letters; needed with a passport's number, and only there.

    Raises:
        Malformed: with what is wrong, never with the number itself.
    """
    cleaned = _clean(text)
    if FILLER in cleaned:
        return _from_zone(cleaned, kind)
    named, number, state = _prefixed(cleaned)
    if named is not None:
        if kind is not None and kind is not named:
            raise Malformed(
                f"identity document: of kind {named}, {kind} expected", code="document_kind", kind=named, expected=kind
            )
        kind, issuer = named, state or issuer
    found = kind if kind is not None else _kind_of(number)
    if found is DocumentKind.PASSPORT:
        return _passport(number, issuer)
    if issuer:
        raise Malformed(f"{_NAMES[found]}: an issuing state belongs to a passport only", code="issuer_alone")
    return IdentityDocument(found, _RULES[found](number))


def check_digit(first_17: str) -> str:
    """Return the 18th character for 17 digits. Source: GB 11643-1999, ISO 7064 MOD 11-2."""
    return _CHECK[sum(w * int(d) for w, d in zip(_WEIGHTS, first_17, strict=True)) % 11]


def birth_year(document: IdentityDocument) -> int | None:
    """Return the year of birth that the number says, by which people of one name are told apart; None where it leaves it open."""
    born = birth_date(document)
    return None if born is None else born.year


def birth_date(document: IdentityDocument) -> date | None:
    """Return the date of birth that the number says; None where it leaves it open."""
    if document.kind not in _DATED or len(document.number) != _DATED_LENGTH:
        return None
    digits = document.number[6:14]
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def sex(document: IdentityDocument) -> Literal["female", "male"] | None:
    """Return the sex that the number says: its last order digit is odd for men. Source: GB 11643-1999, order code."""
    if document.kind not in _DATED or len(document.number) != _DATED_LENGTH:
        return None
    return "male" if int(document.number[16]) % 2 else "female"


@dataclass(frozen=True, slots=True)
class MaskedDocument:
    """What may be shown of a document: its kind and the last characters of the number, by which its owner knows it again."""

    kind: DocumentKind
    tail: str


def mask(document: IdentityDocument) -> MaskedDocument:
    """Return what may be shown: the last 4 characters of a long number, the last 2 of a short one.

    The last 4 of a resident number are its order number and check digit and say neither place nor date of birth. A short number has so
    few characters that 4 of them would leave little to guess.
    """
    number = document.number
    return MaskedDocument(document.kind, number[-MASK_MOST:] if len(number) >= _LONG else number[-MASK_LEAST:])


def claim_token(document: IdentityDocument, key: bytes) -> str:
    """Return the keyed hash of a document: HMAC-SHA256 over kind, issuer and number, base64url without padding."""
    mac = hmac.new(key, document.text.encode(), hashlib.sha256).digest()
    return base64url.encode(mac)


def _clean(text: str) -> str:
    if len(text) > _LONGEST:
        raise Malformed(
            f"identity document: {len(text)} characters, at most {_LONGEST} expected",
            code="document_long",
            count=len(text),
            most=_LONGEST,
        )
    plain = unicodedata.normalize("NFKC", text)
    kept = (c for c in plain if unicodedata.category(c) not in {"Cc", "Cf", "Pd", "Zs", "Zl", "Zp"})
    cleaned = "".join(kept).upper()
    if not cleaned:
        raise Malformed("identity document: nothing was entered", code="nothing_entered")
    return cleaned


def _prefixed(cleaned: str) -> tuple[DocumentKind | None, str, str]:
    """Return kind, number and issuer of a text that names its kind; of any other no kind and the text."""
    name, _, rest = cleaned.partition(":")
    if not rest or name.lower() not in set(DocumentKind):
        return None, cleaned, ""
    kind = DocumentKind(name.lower())
    issuer, _, number = rest.rpartition(":")
    return kind, number, issuer


def _kind_of(number: str) -> DocumentKind:
    for kind, pattern in _SHAPES:
        if pattern.fullmatch(number):
            return kind
    if re.fullmatch(r"[0-9]{8}|[0-9]{10}", number):
        raise Malformed(
            f"identity document: {len(number)} digits may be several kinds' number; choose the kind of document",
            code="several_kinds",
            count=len(number),
        )
    if re.fullmatch(r"[0-9X]+", number):
        # What consists of digits was most likely meant to be the commonest number of all.
        return DocumentKind.RESIDENT_ID
    raise Malformed(
        f"identity document: {len(number)} characters that are no known kind's number; choose the kind, or enter it again",
        code="which_kind",
        count=len(number),
    )


def _from_zone(cleaned: str, kind: DocumentKind | None) -> IdentityDocument:
    zone = parse_zone(cleaned)
    if zone.code.startswith("P"):
        found = IdentityDocument(DocumentKind.PASSPORT, _passport(zone.number, zone.issuer).number, zone.issuer)
    elif zone.issuer == "CHN" and zone.code.startswith("C"):
        # Permits of China; a number of another form is that of a travel document that nobody claims with.
        of_permit = DocumentKind.TAIWAN_PERMIT if zone.number[:1].isdigit() else DocumentKind.HK_MACAO_PERMIT
        found = IdentityDocument(of_permit, _RULES[of_permit](zone.number))
    else:
        raise Malformed(
            f"machine-readable zone: document code {zone.code} is neither a passport's nor a permit's", code="zone_code"
        )
    if kind is not None and kind is not found.kind:
        raise Malformed(
            f"machine-readable zone: of kind {found.kind}, {kind} expected",
            code="document_kind",
            kind=found.kind,
            expected=kind,
        )
    return found


def _resident(number: str) -> str:
    if len(number) == 15 and _is_digits(number):
        return _upgraded(number)
    _demand_gb11643("identity number", number, "18 or 15")
    if number[:2] in {"81", "82", "83"}:
        raise Malformed(
            "identity number: that of a residence permit for Hong Kong, Macao or Taiwan; choose this kind",
            code="is_permit",
        )
    if _FOREIGN_18.fullmatch(number):
        raise Malformed(
            "identity number: that of a foreigner's permanent residence card; choose this kind", code="is_card"
        )
    return number


def _upgraded(number: str) -> str:
    """Return the 18-digit form of a number of the first generation.

    The 18-digit number keeps area and order code, has four digits of the year and a check character. Numbers of 15 digits were given until
    October 1999, so their year lies in the twentieth century; the order codes 996 to 999 were kept for people who were a hundred then, and
    there the century is left open. Source: GB 11643-1989 and -1999; State Council decision 1999 No. 15; the four codes by common account,
    not from the text of the standard.
    """
    if number[12:] in _CENTENARIANS:
        raise Malformed(
            "identity number: these 15 digits leave the century of birth open; enter the 18-digit number",
            code="century",
        )
    first = f"{number[:6]}19{number[6:]}"
    _demand_birth("identity number", first)
    return first + check_digit(first)


def _residence_permit(number: str) -> str:
    """Check the number. Source: State Council Office notice 2018 No. 81 (area codes 810000, 820000, 830000; GB 11643)."""
    _demand_gb11643(_NAMES[DocumentKind.RESIDENCE_PERMIT], number, "18")
    if number[:6] not in {"810000", "820000", "830000"}:
        raise Malformed("residence permit: the number begins with 810000, 820000 or 830000", code="permit_begins")
    return number


def _hk_macao_permit(number: str) -> str:
    """Return the first nine characters: one for Hong Kong or Macao, then the holder's lifelong number.

    Cards of 1999 add two digits that count renewals; permits of people who are no Chinese nationals begin with HA or MA and have seven
    digits.
    Source: Ministry of Public Security, rules of the number, 10 March 2010; National Immigration Administration, notice of 1 July 2024.
    """
    if not _HK_MACAO.fullmatch(number):
        raise Malformed(
            "Hong Kong or Macao permit: H or M and 8 or 10 digits expected, or HA or MA and 7 digits", code="hk_form"
        )
    return number[:9]


def _taiwan_permit(number: str) -> str:
    """Return the holder's eight lifelong digits.

    Permits of 1992 to 2008 add two digits that count issues and, in brackets, a code of the issuing authority; none is a check digit.
    Source: change of the numbers from 25 September 2008 on, as reported by China News Service on 11 September 2008.
    """
    if not _TAIWAN.fullmatch(number):
        raise Malformed("Taiwan permit: 8 or 10 digits expected", code="taiwan_form")
    return number[:8]


def _passport(number: str, issuer: str) -> IdentityDocument:
    """Check the number as far as it has one form everywhere.

    Source: ICAO Doc 9303 part 4: at most nine letters and digits in the zone; six are the fewest any state is known to use.
    """
    state = issuer.strip().upper()
    if not re.fullmatch(r"[A-Z]{1,3}", state):
        raise Malformed(
            "passport: the issuing state is missing: one to three letters as in its machine-readable zone",
            code="passport_issuer",
        )
    if not re.fullmatch(r"[A-Z0-9]{6,9}", number) or not re.search(r"[0-9]", number):
        raise Malformed("passport: 6 to 9 letters and digits expected, one digit at least", code="passport_form")
    return IdentityDocument(DocumentKind.PASSPORT, number, state)


def _foreign_permanent_residence(number: str) -> str:
    """Check either form; they are two numbers, because only the newer card's chip holds what leads to the older.

    Since December 2023: 9, province, nationality by ISO 3166 number, birth, order code, check character as GB 11643. Before:
    nationality by three letters, four digits of province and city, birth by six digits, two more. How the last of these is made
    was not found in a public source, so it is not checked. Source: National Immigration Administration, rules of the machine-read
    data of the 2023 card.
    """
    name = _NAMES[DocumentKind.FOREIGN_PERMANENT_RESIDENCE]
    if _FOREIGN_15.fullmatch(number):
        _demand_date(name, f"19{number[7:13]}", f"20{number[7:13]}")
        if not re.fullmatch(_PROVINCE, number[3:5]):
            raise Malformed(f"{name}: characters 4 and 5 are no province", code="no_province")
        return number
    if len(number) == 18 and not _FOREIGN_18.fullmatch(number):
        raise Malformed(f"{name}: a 9, a province and a nationality by three digits expected", code="card_form")
    _demand_gb11643(name, number, "18 or 15")
    return number


def _demand_gb11643(name: str, number: str, lengths: str) -> None:
    if len(number) != 18:
        raise Malformed(
            f"{name}: {len(number)} characters, {lengths} expected",
            code="document_length",
            document=name,
            count=len(number),
            expected=lengths,
        )
    if not (_is_digits(number[:17]) and number[17] in "0123456789X"):
        raise Malformed(f"{name}: 17 digits and a digit or X expected", code="id_form", document=name)
    _demand_birth(name, number)
    if number[17] != check_digit(number[:17]):
        raise Malformed(
            f"{name}: the check digit does not fit; was a digit mistyped?", code="check_digit", document=name
        )


def _demand_birth(name: str, number: str) -> None:
    if number[6:8] not in {"18", "19", "20"}:
        raise Malformed(f"{name}: digits 7 to 14 are not a date of birth", code="no_birth", document=name)
    _demand_date(name, number[6:14])


def _demand_date(name: str, *readings: str) -> None:
    for digits in readings:
        try:
            date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            continue
        return
    where = "digits 7 to 14" if len(readings) == 1 else "characters 8 to 13"
    raise Malformed(f"{name}: {where} are not a date of birth", code="no_birth", document=name)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


_NAMES = {
    DocumentKind.RESIDENT_ID: "identity number",
    DocumentKind.HK_MACAO_PERMIT: "Hong Kong or Macao permit",
    DocumentKind.TAIWAN_PERMIT: "Taiwan permit",
    DocumentKind.RESIDENCE_PERMIT: "residence permit",
    DocumentKind.PASSPORT: "passport",
    DocumentKind.FOREIGN_PERMANENT_RESIDENCE: "permanent residence card",
}
_HK_MACAO = re.compile(r"[HM](?:[0-9]{8}(?:[0-9]{2})?|A[0-9]{7})")
_TAIWAN = re.compile(r"[0-9]{8}(?:[0-9]{2}(?:\([0-9A-Z]\))?)?")
_FOREIGN_15 = re.compile(r"[A-Z]{3}[0-9]{12}")
_FOREIGN_18 = re.compile(rf"9{_PROVINCE}(?!000)[0-9]{{14}}[0-9X]")
_SHAPES = (
    (DocumentKind.RESIDENCE_PERMIT, re.compile(r"8[123][0-9]{15}[0-9X]")),
    (DocumentKind.FOREIGN_PERMANENT_RESIDENCE, _FOREIGN_18),
    (DocumentKind.FOREIGN_PERMANENT_RESIDENCE, _FOREIGN_15),
    (DocumentKind.HK_MACAO_PERMIT, _HK_MACAO),
    (DocumentKind.TAIWAN_PERMIT, re.compile(r"[0-9]{10}\([0-9A-Z]\)")),
)
"""What only one kind's number looks like; digits that are none of these are read as a resident's."""
_RULES: dict[DocumentKind, Callable[[str], str]] = {
    DocumentKind.RESIDENT_ID: _resident,
    DocumentKind.HK_MACAO_PERMIT: _hk_macao_permit,
    DocumentKind.TAIWAN_PERMIT: _taiwan_permit,
    DocumentKind.RESIDENCE_PERMIT: _residence_permit,
    DocumentKind.FOREIGN_PERMANENT_RESIDENCE: _foreign_permanent_residence,
}
