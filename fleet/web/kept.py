"""What somebody typed, carried by their own browser, sealed: a form whose session was over, and a search for a person.

Nothing of it is kept here, and nothing that can be read stands in an address. The seal names the account, so that it opens for the same
person and for nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.errors import FleetError
from fleet.keys import FieldCipher
from fleet.web.texts import Texts
from protocol import base64url

MOST = 128 * 1024
"""Characters of a form that are kept; sealed and written for a page it is well within the 300 KB of one."""
_GOOD_FOR = timedelta(days=1)
"""Longer than anybody's day: what was typed yesterday is looked at anew."""
_FIELD = "kept_form"
SEARCH_GOOD_FOR = timedelta(hours=8)
"""A session lasts no longer. An address that is found in a history the next day tells nobody anything."""
_SEARCH_FIELD = "kept_search"
_STEP = 64
"""Bytes to a multiple of which a search is filled up, so that the length of an address does not tell that of a name."""
_OURS = frozenset({"form_token", "version", "meant"})
"""Fields that nobody types."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A form as it was to be sent."""

    path: str
    """Where to, with its question."""
    lists: Mapping[str, tuple[str, ...]]
    """All values of each field."""
    files: tuple[tuple[str, str], ...] = ()
    """Field and name of each file; their contents are not kept."""


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """What somebody typed to find a person."""

    typed: str
    area_typed: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was typed, as it is shown."""

    label: str
    value: str


def seal(cipher: FieldCipher, account_id: str, kept: Kept, *, now: datetime) -> str | None:
    """Return a form as a text that opens for one account; None if it is too long for that."""
    written = json.dumps(
        {
            "at": now.isoformat(),
            "path": kept.path,
            "lists": {name: list(values) for name, values in kept.lists.items()},
            "files": [list(each) for each in kept.files],
        }
    )
    if len(written) > MOST:
        return None
    return base64url.encode(cipher.encrypt(written, subject_id=account_id, field_name=_FIELD))


def unseal(cipher: FieldCipher, account_id: str, sealed: str, *, now: datetime) -> Kept | None:
    """Return a form that was kept for this account; None if it was for another one, is too old, or is none of ours."""
    try:
        written = cipher.decrypt(base64url.decode(sealed), subject_id=account_id, field_name=_FIELD)
    except (FleetError, ValueError):
        return None
    found = json.loads(written)
    if abs(now - datetime.fromisoformat(found["at"])) > _GOOD_FOR:
        return None
    return Kept(
        found["path"],
        {name: tuple(values) for name, values in found["lists"].items()},
        tuple((field, name) for field, name in found["files"]),
    )


def seal_search(cipher: FieldCipher, account_id: str, search: KeptSearch, *, now: datetime) -> str:
    """Return a search as a text that may stand in an address: it opens for one account, for eight hours."""
    written = json.dumps([now.isoformat(), search.typed, search.area_typed], ensure_ascii=False)
    padded = written + " " * (-len(written.encode()) % _STEP)
    return base64url.encode(cipher.encrypt(padded, subject_id=account_id, field_name=_SEARCH_FIELD))


def unseal_search(cipher: FieldCipher, account_id: str, sealed: str, *, now: datetime) -> KeptSearch | None:
    """Return what this account searched for; None if it was another one, is too old, or is none of ours."""
    try:
        written = cipher.decrypt(base64url.decode(sealed), subject_id=account_id, field_name=_SEARCH_FIELD)
    except (FleetError, ValueError):
        return None
    at, typed, area_typed = json.loads(written)
    if abs(now - datetime.fromisoformat(at)) > SEARCH_GOOD_FOR:
        return None
    return KeptSearch(typed, area_typed)


def title_of(kept: Kept, texts: Texts) -> str:
    """Return what the pages that a form is of are called; empty for a form of no group."""
    return _text(_own(kept, texts), "title")


def lines_of(kept: Kept, texts: Texts) -> list[Line]:
    """Return what a form says, for a person: fields by their labels where the pages have some, choices by their words."""
    own = _own(kept, texts)
    return [
        Line(_text(own, name) or _text(texts["sign_in"]["fields"], name) or name, _shown(own, texts, name, value))
        for name, values in kept.lists.items()
        if name not in _OURS
        for value in values
        if value.strip()
    ]


def _own(kept: Kept, texts: Texts) -> Texts | None:
    """Return the texts of the pages that a form is of; some below another group's address have texts of their own."""
    parts = kept.path.partition("?")[0].strip("/").split("/")
    return next((texts[part] for part in parts[1::-1] if part in texts), None)


def _shown(own: Texts | None, texts: Texts, name: str, value: str) -> str:
    """Return a value, in words where it is one of a choice."""
    for table in (own, texts["words"]):
        for each in (name, f"{name}s"):
            if table is not None and each in table and isinstance(table[each], Texts):
                found = _text(table[each], value)
                if found:
                    return found
    return value


def _text(table: Texts | None, name: str) -> str:
    found = table[name] if table is not None and name in table else ""
    return found if isinstance(found, str) else ""
