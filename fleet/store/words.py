"""What makes a person's word count, as SQL: kept with the word, and asked for when another one would decide.

A word is that of somebody in office. With it goes which account said it and every role that it had then; once the account is disabled,
or has lost one of these roles, the word counts no more. Words that were given on the command line have no account, and count as they did.
"""

from __future__ import annotations

HELD = (
    "(SELECT coalesce(array_agg(g.role || '/' || coalesce(g.area, '')), '{}') FROM account_grants g"
    " WHERE g.account_id = CAST(:account AS text))"
)
"""The roles of the account `:account` now, to be stored with its word; null stays null where there is no account."""
VOID = (
    "(w.account_id IS NOT NULL AND (NOT EXISTS (SELECT 1 FROM accounts a WHERE a.account_id = w.account_id AND a.disabled_at IS NULL)"
    " OR EXISTS (SELECT 1 FROM unnest(w.held) h WHERE h NOT IN (SELECT g.role || '/' || coalesce(g.area, '')"
    " FROM account_grants g WHERE g.account_id = w.account_id))))"
)
"""Whether the word `w` counts no more."""
