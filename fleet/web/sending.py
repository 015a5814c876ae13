"""Files that come in and go out by pages, and what is said of forms that were refused."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

from fleet.errors import DatabaseUnavailable, FleetError
from fleet.tables.reading import MAX_BYTES, Upload
from fleet.web.saying import all_said
from fleet.web.texts import REFUSED
from fleet.web.visits import Visit
from protocol.errors import ProtocolError

Refusals = (FleetError, ProtocolError)
"""What jobs raise; a page catches it and says why."""


def uploaded(visit: Visit, name: str) -> Upload | None:
    """Return a file that was sent, as far as it is of use; None if none was."""
    found = visit.sent.files.get(name)
    # One byte more tells that it is too large.
    return Upload(found[0].file.read(MAX_BYTES + 1)) if found else None


def said(visit: Visit, error: FleetError | ProtocolError) -> list[str]:
    """Return why something was refused, in the visitor's language.

    Raises:
        DatabaseUnavailable: if that is what it is; it has an answer of its own.
    """
    if isinstance(error, DatabaseUnavailable):
        raise error
    return all_said(visit.texts[REFUSED], error)


def download(content: bytes, name: str, media_type: str) -> Response:
    """Return the answer with a file to be kept.

    Args:
        content: of the file.
        name: what it is called; no name and no number of anybody.
        media_type: of the content.
    """
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "Cache-Control": "no-store"},
    )


CSV = "text/csv; charset=utf-8"
HTML = "text/html; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
