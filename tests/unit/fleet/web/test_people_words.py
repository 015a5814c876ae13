"""What happened to people is said in words of every language, for everything that can happen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

import pytest

from fleet.benefits.events import (
    KINDS,
    LadderStep,
    RecoveryOutcome,
    RecoveryReason,
    RestoreReason,
    StepOutcome,
    StopEffect,
    StopReason,
)
from fleet.benefits.machine import BenefitState
from fleet.benefits.timeline import Entry
from fleet.cases.machine import Kind, State, Step, Verdict
from fleet.reminders import planning
from fleet.store.contacts import CHANNELS
from fleet.web.labels import scheme_word
from fleet.web.pages.people_words import TABLES, told
from fleet.web.texts import LANGUAGES, load_texts
from protocol.documents import DocumentKind
from protocol.evidence import EvidenceStatus
from protocol.records import Purpose
from protocol.references import CaptureKind, LegalBasis
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind
from protocol.rules.obligations import CertificationState

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
WORDS: dict[str, Iterable[str]] = {
    "purposes": Purpose,
    "acts": ActKind,
    "channels": Channel,
    "life": LifeEventKind,
    "stop_reasons": StopReason,
    "effects": StopEffect,
    "steps": LadderStep,
    "came": StepOutcome,
    "restore_reasons": RestoreReason,
    "recovery_reasons": RecoveryReason,
    "recovery_outcomes": RecoveryOutcome,
    "case_kinds": [*Kind, "i_am_here"],
    "case_states": [*State, "undecided"],
    "verdicts": Verdict,
    "reminder_kinds": planning.Kind,
    "reminder_states": planning.State,
    "captures": CaptureKind,
    "bases": LegalBasis,
    "documents": DocumentKind,
    "benefit_states": BenefitState,
    "evidence_states": EvidenceStatus,
}


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_code_on_the_pages_has_a_word(language: str) -> None:
    group = load_texts()[language]["people"]
    for table, codes in WORDS.items():
        assert set(group[table]) == set(codes), table
    assert {table for names in TABLES.values() for table in names.values()} <= {*group, "outcomes"}
    assert set(group["sentence"]) == {*CertificationState, "nothing", "never_in_time"}
    assert set(group["way_names"]) == set(group["way_fields"]) == set(CHANNELS)
    kinds = {f"benefit.{kind}" for kind in KINDS} | {f"case.{step}" for step in Step}
    kinds |= {f"reminder.{step}" for step in planning.Step}
    assert kinds <= set(group["timeline"])


def say(
    of: str, /, *, settled: frozenset[tuple[str, str]] = frozenset(), language: str = "en", **detail: object
) -> str:
    found = told(Entry(of, "x", NOW, None, detail), load_texts()[language], settled=settled)
    return " | ".join((found.sentence, *found.notes, *([found.written] if found.written else [])))


def test_an_entry_reads_as_a_sentence() -> None:
    assert say("record", terminal="t-1", purpose="certification", outcome="certified", counts=True, flags=[]) == (
        "certification at terminal t-1: certified"
    )
    assert say("record", terminal="t-1", purpose="enrolment", outcome="review", counts=False, flags=["simulated"]) == (
        "enrolment at terminal t-1: for review | simulated camera, not counted"
    )
    assert say("record", terminal="t-1", purpose="certification", outcome="certified", counts=False, flags=[]) == (
        "certification at terminal t-1: certified | does not count"
    )
    assert say("life_event", kind="missing", source="feed:police", confirmed=True, until="2026-11-15") == (
        "feed police reports: disappearance | confirmed | until 2026-11-15"
    )
    assert say(
        "benefit.stop_proposed", scheme="enterprise_pension", reason="overdue", effect="pause", from_month="2026-12-01"
    ) == ("enterprise pension: pause proposed (nobody came), from 2026-12")
    assert say("reminder.call", kind="due", state="delivered", outcome="reached", proof_day="2026-11-19") == (
        "Call: to come in this period | reached | 2026-11-19"
    )
    assert say("something.new") == "something.new"
    assert say("case.opened") == "Case (–): opened"


def test_a_reason_is_told_once_it_is_settled() -> None:
    detail = {"place": 1, "by": "甲", "written": "见到本人"}
    assert say("approval.i_am_here.alive", **detail) == "甲 agreed: the person is alive"
    settled = frozenset({("i_am_here.alive", "x")})
    assert say("approval.i_am_here.alive", settled=settled, **detail) == "甲 agreed: the person is alive | 见到本人"
    assert say("approval.life_event.end.2026-11-15", **detail) == "甲 agreed: it was over on 2026-11-15"


def test_what_is_known_by_its_day_has_no_hour() -> None:
    found = told(Entry("life_event", "x", None, date(2026, 11, 1), {}), load_texts()["zh"], settled=())
    assert (found.when, found.has_hour) == (date(2026, 11, 1), False)


def test_a_scheme_is_called_as_the_reader_calls_it() -> None:
    assert (
        scheme_word("enterprise_pension", load_texts()["zh"])
        == scheme_word("企业职工基本养老保险", load_texts()["zh"])
        == "企业职工基本养老保险"
    )
    assert scheme_word("企业职工基本养老保险", load_texts()["en"]) == "enterprise pension"
    assert scheme_word("自办补助", load_texts()["en"]) == "自办补助"
