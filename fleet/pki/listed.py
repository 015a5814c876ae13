"""What is to be on the broker's revocation list: what the database knows, and what the list that lies there says besides.

A database that was restored from a backup knows nothing of what was taken back since; the list beside the broker does.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from fleet.errors import Refused
from fleet.pki.authority import TERMINAL_VALIDITY, Authority, read_revocation_list
from fleet.pki.files import REVOKED
from fleet.store.certificates import Revoked, revoked_certificates, take_listed

logger = logging.getLogger(__name__)


def all_revoked(connection: Connection, issuing: Authority, folder: Path, *, now: datetime) -> list[Revoked]:
    """Return what the next list names; what the one in the folder knew alone is kept in the database from now on.

    Args:
        connection: a transaction.
        issuing: whose list it is; one of somebody else, or a damaged one, says nothing.
        folder: where the present list lies, if there is one.
        now: in UTC.

    """
    try:
        final, others = read_revocation_list(issuing, (folder / REVOKED).read_bytes())
    except FileNotFoundError:
        final, others = [], []
    except (Refused, OSError) as error:
        # Without a next list nobody could be taken back any more.
        logger.error("revocation list that was there not read file=%s reason=%s", REVOKED, error)  # noqa: TRY400 - the message says all
        final, others = [], []
    # A certificate was issued before it was taken back, so it ends within one validity of that.
    count = take_listed(connection, final, others, over_before=now - TERMINAL_VALIDITY)
    if count:
        logger.warning("taken back according to the list and not to the database, kept anew certificates=%d", count)
    return revoked_certificates(connection, now=now)
