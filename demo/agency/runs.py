"""What people of the made-up agency have begun: photographs of a folder, a search for duplicates, and what waits for a second person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from demo.agency.names import ADMINISTRATORS, OPERATORS, REVIEWERS
from demo.agency.people import Person, made_id
from demo.agency.world import POLICY, World
from fleet.accounts import registry
from fleet.accounts.changes import Action, ask
from fleet.accounts.granting import Actor
from fleet.accounts.roles import Grant, Role
from fleet.intake.photo_judging import Reason
from fleet.intake.photos import Form, Result
from fleet.store import page_runs, photo_runs
from fleet.store.page_runs import BY, REASON, RESULT, PageRun
from fleet.store.photo_runs import RunLine
from fleet.updates import policy_proposals
from protocol.references import LegalBasis

_LOWER = 0.02
"""By so much a threshold of the policy that waits is lower: two persons must agree."""


def photographs(world: World, people: Sequence[Person], now: datetime) -> None:
    """Store a run of photographs as it was told file by file; no network looked at them, so no reference was made."""
    run_id = made_id(world.seed, "photographs", 0)[:16]
    with world.database.begin() as connection:
        account_id = registry.find(connection, world.keys.cipher, OPERATORS[0])
        by = world.keys.cipher.encrypt(OPERATORS[0], subject_id=run_id, field_name=BY)
        asked = {
            "unit": None,
            "form": Form.NONE.value,
            "legal_basis": LegalBasis.CONSENT.value,
            "is_dry": True,
            "files": 3,
        }
        worker = made_id(world.seed, "photographs", 1)
        page_runs.add_run(connection, PageRun(run_id, "photos", account_id, by, worker, now, asked))
        lines = (
            RunLine(1, "0001", Result.ACCEPTED.value, (), people[0].subject_id, None),
            RunLine(2, "0002", Result.REFUSED.value, ((Reason.DAMAGED.value, "", ""),), people[1].subject_id, None),
            RunLine(3, "", Result.REFUSED.value, ((Reason.UNSAFE_NAME.value, "", ""),), None, None),
        )
        for line in lines:
            photo_runs.add_line(connection, run_id, line)
        page_runs.end_run(connection, run_id, "done", None, now=now + timedelta(minutes=1))


def search(world: World, now: datetime) -> None:
    """Store a search by number that found nothing new."""
    search_id = made_id(world.seed, "search", 0)[:16]
    encrypt = world.keys.cipher.encrypt
    by = encrypt(REVIEWERS[0], subject_id=search_id, field_name=BY)
    reason = encrypt("Yearly check", subject_id=search_id, field_name=REASON)
    worker = made_id(world.seed, "search", 1)
    parts = [{"part": part, "people": world.people, "suspicions": 0, "hits": 0} for part in ("benefits", "documents")]
    result = encrypt(json.dumps({"parts": parts, "hits": 0}), subject_id=search_id, field_name=RESULT)
    wide = {"both_sexes": False, "all_ages": False}
    with world.database.begin() as connection:
        account_id = registry.find(connection, world.keys.cipher, REVIEWERS[0])
        run = PageRun(search_id, "duplicates_number", account_id, by, worker, now, wide, reason)
        page_runs.add_run(connection, run)
        page_runs.end_run(connection, search_id, "done", result, now=now)


def plan_and_export(world: World, now: datetime) -> None:
    """Store that reminders were planned, and the audit log exported, on a page."""
    encrypt = world.keys.cipher.encrypt
    found = {
        "reminders_plan": {"planned": 0, "cancelled": 0, "unheard": 0},
        "audit_export": {"entries": 1, "last": "0" * 64},
    }
    with world.database.begin() as connection:
        account_id = registry.find(connection, world.keys.cipher, ADMINISTRATORS[0])
        for kind, done in found.items():
            run_id, worker = made_id(world.seed, kind, 0)[:16], made_id(world.seed, kind, 1)
            by = encrypt(ADMINISTRATORS[0], subject_id=run_id, field_name=BY)
            result = encrypt(json.dumps(done), subject_id=run_id, field_name=RESULT)
            page_runs.add_run(connection, PageRun(run_id, kind, account_id, by, worker, now))
            page_runs.end_run(connection, run_id, "done", result, now=now)


def propose_policy(world: World, now: datetime) -> None:
    """Propose a policy with a lower threshold; it waits for two persons."""
    network, limits = next(iter(POLICY.comparison.items()))
    lower = limits.model_copy(update={"match": limits.match - _LOWER, "grey": limits.grey - _LOWER})
    policy = POLICY.model_copy(update={"policy_version": "made-lower", "comparison": {network: lower}})
    policy_proposals.propose(world.database, world.keys, policy, by=ADMINISTRATORS[0], reason="A try", now=now)


def ask_for_a_reviewer(world: World, now: datetime) -> None:
    """Ask that a viewer become a reviewer; it waits for a second administrator."""
    cipher = world.keys.cipher
    with world.database.begin() as connection:
        who = registry.find(connection, cipher, ADMINISTRATORS[0])
        actor = Actor(ADMINISTRATORS[0], who, (Grant(Role.FLEET_ADMINISTRATOR, None),))
        viewer = registry.find(connection, cipher, "Xie Haiyun")
        ask(connection, cipher, actor, viewer, Action.GIVE, Grant(Role.REVIEWER, None), now=now)
