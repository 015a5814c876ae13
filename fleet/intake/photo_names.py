"""Reads who is on a photograph from its file's name: name and document number, as agencies ask for them (R1-15). Pure.

The source writes 姓名+身份证号; units write it with a plus, a blank, an underscore, a hyphen or nothing in between. All kinds of document
are taken (R4-16); a passport's number stands behind its issuing state: `NAME+FRA-12AB34567`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from protocol.documents import MASK_LEAST, MASK_MOST, DocumentKind, IdentityDocument, parse_document
from protocol.errors import ProtocolError
from protocol.names import normal_name

_BETWEEN = r"\s+_\-—–·"
_NUMBERS = (
    r"[0-9]{17}[0-9Xx]",
    r"[0-9]{15}",
    r"[HMhm](?:[Aa][0-9]{7}|[0-9]{10}|[0-9]{8})",
    r"[A-Za-z]{3}[0-9]{12}",
    r"[0-9]{10}(?:\([0-9A-Z]\))?",
    r"[0-9]{8}",
)
"""How numbers of the kinds look whose kind need not be said; which of them it is, `parse_document` tells."""
_NAMED = [
    re.compile(rf"(?P<name>{name}){between}(?P<number>{number})")
    for number in _NUMBERS
    for name, between in ((".+?", rf"[{_BETWEEN}]+"), (rf".*[^0-9{_BETWEEN}]", ""))
]
"""With something between name and number, or with nothing; then the name cannot end with a digit."""
_PASSPORT = re.compile(r"(?P<name>.+?)[\s+_]+(?P<issuer>[A-Za-z]{1,3})-(?P<number>[A-Za-z0-9]{6,9})")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_TAIWAN = re.compile(r"[0-9]{8}|[0-9]{10}")
_NARROW = str.maketrans("＋－＿　", "+-_ ")
_LONG = 15
"""Length of a number of which four characters may be shown; of a shorter one two (`protocol.documents.mask`)."""


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a file's name may mean."""

    name: str
    document: IdentityDocument

    def __repr__(self) -> str:
        return f"Named({self.document.kind})"


@dataclass(frozen=True, slots=True)
class NameReading:
    """What a file's name says."""

    candidates: tuple[Named, ...]
    has_number: bool
    """Whether something stands there that looks like a number; without candidates it fails its own checks."""


def read_name(file_name: str) -> NameReading:
    """Read a file's name, without folders before it.

    Args:
        file_name: as the archive or the folder has it.
    """
    stem = _ENDING.sub("", unicodedata.normalize("NFC", file_name)).translate(_NARROW).strip()
    found: list[Named] = []
    has_number = False
    for form in (*_NAMED, _PASSPORT):
        matched = form.fullmatch(stem)
        if matched is None:
            continue
        has_number = True
        named = _named(matched)
        if named is not None and named not in found:
            found.append(named)
    return NameReading(tuple(found), has_number)


def masked(file_name: str) -> str:
    """Return the end of a file's name, by which whoever has the file finds it: what documents may show, and no name."""
    ending = _ENDING.search(file_name)
    stem = file_name[: ending.start()] if ending else file_name
    number = re.search(r"(?=[0-9A-Za-z]*[0-9])[0-9A-Za-z]+$", stem.strip())
    shown = "" if number is None else number[0][-(MASK_MOST if len(number[0]) >= _LONG else MASK_LEAST) :]
    return "…" + shown + (ending[0] if ending else "")


def _named(matched: re.Match[str]) -> Named | None:
    issuer = matched.groupdict().get("issuer") or ""
    kind = DocumentKind.PASSPORT if issuer else None
    if kind is None and _TAIWAN.fullmatch(matched["number"]):
        # Eight or ten digits may be several kinds' number, of which only this one is a person's.
        kind = DocumentKind.TAIWAN_PERMIT
    try:
        return Named(normal_name(matched["name"]), parse_document(matched["number"], kind, issuer=issuer.upper()))
    except ProtocolError:
        return None
