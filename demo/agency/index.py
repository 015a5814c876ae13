"""Who and what is worth opening in the made-up agency: one id for everything that a page can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from demo.agency.names import is_rare
from demo.agency.people import Person
from demo.agency.terminals import Terminal
from fleet.store.database import Database


@dataclass(frozen=True, slots=True)
class Index:
    """Ids by what they are an example of; the first of many, so that the same seed gives the same people and terminals."""

    people: Mapping[str, str]
    """Subject ids. By state: `certified`, `due`, `expiring`, `overdue`, `never_certified`. By what happened to a benefit: `pause_proposed`,
    `notified`, `approved_once`, `paused`, `restored`, `end_proposed`, `ended`, `frozen`, `i_am_here`. Others: `rare_name`, `dotted_name`,
    `without_phone`, `two_benefits`, `withdrawn_consent`, `reported_dead`."""
    cases: Mapping[str, str]
    """Case ids by kind and state (`appeal.in_review`), and `late`, `reviewed_once`, `with_picture`, `with_file`, `planned_visit`."""
    terminals: Mapping[str, Sequence[str]]
    """Terminal ids by `demo.agency.conditions.Condition`."""
    others: Mapping[str, str]
    """`area` (a community), `proposal` (a rule pack), `feed`, `partner`, `webhook` (with a message given up), `open_duplicate`,
    `decided_duplicate`, `unclear_duplicate`, `record`, `stop`, `erasure`, `trial` (of the proposal),
    `calibration`, `rollout` (under way), `list` (of a village), `reminder_failed`."""


def index_of(database: Database, today: date, made: Sequence[Terminal], everybody: Sequence[Person]) -> Index:
    """Look up an example of everything."""
    by_condition: dict[str, list[str]] = {}
    for terminal in made:
        by_condition.setdefault(terminal.condition.value, []).append(terminal.terminal_id)
    named = {
        name: next((person.subject_id for person in everybody if fits(person.name)), "")
        for name, fits in (("rare_name", is_rare), ("dotted_name", lambda name: "·" in name))
    }
    with database.begin() as connection:
        cases = _found(connection, _CASES, today)
        kinds = connection.execute(text("SELECT kind || '.' || state AS name, min(case_id) FROM cases GROUP BY 1"))
        return Index(
            people={**_found(connection, _PEOPLE, today), **named},
            cases={**{row[0]: row[1] for row in kinds}, **cases},
            terminals=by_condition,
            others=_found(connection, _OTHERS, today),
        )


def _found(connection: Connection, wanted: Mapping[str, str], today: date) -> dict[str, str]:
    found = {
        name: connection.execute(text(f"SELECT {rest} LIMIT 1"), {"today": today}).scalar_one_or_none()
        for name, rest in wanted.items()
    }
    return {name: str(value) for name, value in found.items() if value is not None}


_FILES = {
    "pause_proposed": "state = 'pause_proposed' AND steps = 0",
    "notified": "state = 'pause_proposed' AND steps = 2",
    "approved_once": "state = 'pause_proposed' AND approvals = 1",
    "paused": "state = 'paused'",
    "end_proposed": "state = 'end_proposed'",
    "ended": "state = 'ended'",
    "frozen": "cardinality(frozen_by) > 0",
}
_STATES = {
    "certified": "last_act IS NOT NULL AND asked > :today",
    "due": "last_act IS NOT NULL AND asked <= :today AND expiring > :today",
    "expiring": "last_act IS NOT NULL AND expiring <= :today AND overdue > :today",
    "overdue": "last_act IS NOT NULL AND overdue <= :today",
    "never_certified": "last_act IS NULL",
}
_SETS = {
    **{name: f"statuses WHERE stop_from > :today AND {condition}" for name, condition in _STATES.items()},
    **{name: f"benefit_files WHERE {condition}" for name, condition in _FILES.items()},
    "restored": "benefit_events WHERE kind = 'restored' AND body ->> 'because' = 'certified'",
    "i_am_here": "i_am_here WHERE resolved_at IS NULL",
    "without_phone": "subjects WHERE phone_sealed IS NULL",
    "two_benefits": "(SELECT subject_id FROM benefits GROUP BY subject_id HAVING count(*) > 1) b",
    "withdrawn_consent": "withdrawals",
    "reported_dead": "life_events WHERE kind = 'death' AND withdrawn_at IS NULL",
}
_PEOPLE = {name: f"subject_id FROM {rest} ORDER BY subject_id" for name, rest in _SETS.items()}
_CASES = {
    "late": "case_id FROM cases WHERE due_on < :today AND state NOT IN ('passed', 'refused', 'closed') ORDER BY due_on, case_id",
    "reviewed_once": (
        "case_id FROM cases c WHERE state = 'in_review' AND (SELECT count(*) FROM case_events e"
        " WHERE e.case_id = c.case_id AND e.step = 'verdict') = 1 ORDER BY opened_at, case_id"
    ),
    "with_picture": (
        "p.record_id FROM case_photos p JOIN attachments USING (terminal_id, sha256)"
        " WHERE p.role = 'with_newspaper' ORDER BY p.record_id"
    ),
    "with_file": "case_id FROM case_files WHERE sealed IS NOT NULL ORDER BY added_at DESC",
    "planned_visit": "case_id FROM cases WHERE planned_on IS NOT NULL ORDER BY planned_on",
}
_OTHERS = {
    "area": "code FROM areas WHERE level = 5 ORDER BY code",
    "proposal": "pack_id || '/' || version FROM rule_packs WHERE in_force_at IS NULL ORDER BY pack_id",
    "feed": "feed FROM feed_deliveries ORDER BY delivery_id",
    "partner": "partner_id FROM partners WHERE revoked_at IS NULL ORDER BY partner_id",
    "webhook": "webhook_id FROM webhook_messages WHERE dead_at IS NOT NULL ORDER BY message_no",
    "open_duplicate": "hit_id FROM duplicate_hits WHERE state = 'open' AND kind = 'same_face' ORDER BY score",
    "decided_duplicate": "hit_id FROM duplicate_hits WHERE state = 'different' ORDER BY score",
    "unclear_duplicate": "hit_id FROM duplicate_hits WHERE state = 'unclear' ORDER BY score",
    "record": "record_id FROM records WHERE outcome = 'certified' ORDER BY event_at DESC, record_id",
    "stop": "stop_id FROM benefit_files WHERE state = 'pause_proposed' ORDER BY subject_id",
    "erasure": "erasure_id FROM erasures ORDER BY erased_at",
    "trial": "trial_id FROM pack_trials WHERE result IS NOT NULL ORDER BY asked_at",
    "calibration": "calibration_id FROM calibrations ORDER BY proposed_at",
    "policy": "proposal_id FROM policy_proposals ORDER BY proposed_at",
    "photo_run": "run_id FROM page_runs WHERE kind = 'photos' ORDER BY asked_at",
    "export": "run_id FROM page_runs WHERE kind = 'audit_export' ORDER BY asked_at",
    "run": "run_id FROM page_runs WHERE kind = 'reminders_plan' ORDER BY asked_at",
    "search": "run_id FROM page_runs WHERE kind LIKE 'duplicates%' ORDER BY asked_at",
    "rollout": "rollout_id FROM rollouts ORDER BY place",
    "list": "list_id FROM unit_lists ORDER BY taken_at",
    "reminder_failed": "reminder_id FROM reminders WHERE state = 'failed' ORDER BY subject_id, kind",
}
