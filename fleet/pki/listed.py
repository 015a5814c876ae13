"""What is to be on the broker's revocation list: what the database knows, and what the list that lies there says besides.

A database that was restored from a backup knows nothing of what was taken back since; the list beside the broker does.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from fleet.errors import Refused
from fleet.pki.authority import (
    TERMINAL_VALIDITY,
    Authority,
    RevocationList,
    is_ahead,
    list_moment,
    read_revocation_list,
)
from fleet.pki.files import REVOKED
from fleet.store.certificates import Revoked, revoked_certificates, take_listed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NextList:
    """What is to be put in the place of a list."""

    moment: datetime
    """To make it of."""
    revoked: list[Revoked]


def next_list(connection: Connection, issuing: Authority, folder: Path, *, now: datetime) -> NextList:
    """Return the next list; what the one in the folder knew alone is kept in the database from now on.

    Args:
        connection: a transaction.
        issuing: whose list it is; one of somebody else, or a damaged one, says nothing.
        folder: where the present list lies, if there is one.
        now: in UTC.
    """
    last = _read(issuing, folder)
    if last is not None:
        count = take_listed(connection, last.final, last.others)
        if count:
            logger.warning("taken back according to the list and not to the database, kept anew certificates=%d", count)
        if is_ahead(last.moment, now=now):
            logger.warning(
                "revocation list of %s is ahead of the clock: a broker that has read it may go by it again from the day before on; "
                "restart the broker once",
                last.moment.date(),
            )
    # A certificate was issued before it was taken back, so it ends within one validity of that.
    revoked = revoked_certificates(connection, now=now, over_before=now - TERMINAL_VALIDITY)
    return NextList(list_moment(now, last.moment if last else None), revoked)


def _read(issuing: Authority, folder: Path) -> RevocationList | None:
    try:
        return read_revocation_list(issuing, (folder / REVOKED).read_bytes())
    except FileNotFoundError:
        return None
    except (Refused, OSError) as error:
        # Without a next list nobody could be taken back any more.
        logger.error("revocation list that was there not read file=%s reason=%s", REVOKED, error)  # noqa: TRY400 - the message says all
        return None
