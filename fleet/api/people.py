"""Finds the people that a request names, as far as its partner may see them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fleet.api.access import Office
from fleet.api.forms import PersonForm
from fleet.store.partners import Partner, visible_subjects
from fleet.store.subjects import find_by_ids, find_by_tokens


def find_people(
    office: Office, connection: Connection, partner: Partner, named: Sequence[PersonForm]
) -> list[str | None]:
    """Return the fleet's id of each, in order; None for nobody here, and for somebody outside the partner's areas: no answer says which."""
    tokens = [form.token(office.keys.claim_key) for form in named]
    by_token = find_by_tokens(connection, [token for token in tokens if token is not None])
    by_id = find_by_ids(connection, {form.subject_id for form in named if form.subject_id is not None})
    known = {subject.subject_id for subject in by_id}
    found: list[str | None] = []
    for form, token in zip(named, tokens, strict=True):
        if token is not None:
            found.append(by_token[token].subject_id if token in by_token else None)
        else:
            found.append(form.subject_id if form.subject_id in known else None)
    seen = visible_subjects(connection, partner, sorted({one for one in found if one is not None}))
    return [one if one in seen else None for one in found]
