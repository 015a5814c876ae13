"""What a form sent: read within limits, from a page of ours alone, and taken as what its fields stand for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from fleet.errors import Refused

FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
MAX_FIELDS = 400
MAX_OF_NOBODY_BYTES = 64 * 1024 * 1024
"""Of a form with files where the session is over: what was typed beside the files is kept."""
MAX_FILES_OF_A_FORM = 2_000
"""More come in an archive."""
_MAX_TEXT_BYTES = 2 * 1024 * 1024
"""Of a form without files; a list of people comes as a file."""
_WITH_FILES = "multipart/form-data"
_WITHOUT_FILES = "application/x-www-form-urlencoded"
_Choice = TypeVar("_Choice", bound=str)
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
"""Days beyond have no moment that a database and every time zone can hold with a day to spare."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it came: every field's last value, and its files."""

    fields: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All values of each field, for fields that may be given more than once."""
    files: Mapping[str, tuple[UploadFile, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return what was typed into a field, without spaces around it; empty if it did not come."""
        return self.fields.get(name, "").strip()

    def choice(self, name: str, offered: Iterable[_Choice]) -> _Choice:
        """Return what was chosen of what a form offers.

        Raises:
            Refused: if it was none of it, with the code `choice_missing`.
        """
        found = next((each for each in offered if each == self.text(name)), None)
        if found is None:
            raise Refused("form not whole", code="choice_missing")
        return found

    def day(self, name: str, otherwise: date | None = None) -> date:
        """Return the day that was typed; the other one, if there is one, for a field that was left empty.

        Raises:
            Refused: if it is none, with the code `day_unusable`.
        """
        found = day_in(self.text(name)) if self.text(name) else otherwise
        if found is None:
            raise Refused("no day", code="day_unusable")
        return found

    def count(self, name: str) -> int:
        """Return a number from 0 up, such as the version of what a form was made for; 0 where there is none."""
        return count_in(self.text(name)) or 0


def day_in(written: str) -> date | None:
    """Return the day that is written as `2026-12-01`, None if it is none, or if nobody who is paid lives to see or has seen it."""
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return None
    return day if _FIRST_YEAR <= day.year <= _LAST_YEAR else None


def count_in(written: str, *, digits: int = 9) -> int | None:
    """Return the number from 0 up that is written with at most so many digits, None if it is none."""
    return int(written) if written.isdecimal() and len(written) <= digits else None


async def read_form(request: Request) -> AsyncIterator[Sent]:
    """Give what was sent by a page of ours, of whoever; another site's is refused. Its files are closed once it is answered."""
    async with reading(request, most=0) as sent:
        yield sent


@asynccontextmanager
async def reading(request: Request, *, most: int) -> AsyncIterator[Sent]:
    """Give what was sent, of which so many bytes are taken where there are files; without any, a form with files is not read."""
    if not is_from_here(request):
        raise HTTPException(403)
    form = await _form(request, most)
    try:
        yield _sent(form)
    finally:
        await form.close()


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _sent(form: FormData) -> Sent:
    lists: dict[str, list[str]] = {}
    files: dict[str, list[UploadFile]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            # A field for files that was left empty comes as a file without a name.
            if value.filename:
                files.setdefault(name, []).append(value)
        else:
            # PostgreSQL takes no zero byte, and nobody types one.
            lists.setdefault(name, []).append(value.replace("\0", ""))
    return Sent(
        {name: values[-1] for name, values in lists.items()},
        {name: tuple(values) for name, values in lists.items()},
        {name: tuple(values) for name, values in files.items()},
    )


def is_from_here(request: Request) -> bool:
    """Return whether a page of ours sent this, as the browser says; what is no browser says nothing, and has no cookies of anybody."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def too_large(most: int) -> HTTPException:
    """Return the answer to what has more than so many bytes, which says so."""
    return HTTPException(413, detail=f"{-(-most // 1024 // 1024):,}")


async def _form(request: Request, most: int) -> FormData:
    kind = _kind(request)
    if kind == _WITH_FILES:
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise HTTPException(411)
        if not most:
            raise HTTPException(415)
        if int(length) > most + _MAX_TEXT_BYTES:
            raise too_large(most)
        return await request.form(max_files=MAX_FILES_OF_A_FORM, max_fields=MAX_FIELDS)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_TEXT_BYTES:
            raise too_large(_MAX_TEXT_BYTES)
    if not body:
        return FormData()
    if kind != _WITHOUT_FILES:
        raise HTTPException(415)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise HTTPException(400) from error
    return FormData([(name, value) for name, value in pairs])
