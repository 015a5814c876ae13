"""Is this to be believed? Pure functions over what is known when a link of a terminal's chain arrives.

A link whose signature holds is either stored or refused. Refused links (fork, retired terminal, wrong fleet or terminal) have no
effect and wait in quarantine for a person. What is stored says what was seen; whether a certification record counts as a pass is
decided here from four things: the decision must follow from the record's own numbers by the policy it names, which this fleet issued; the
reference it compared with must be one of this fleet; its moment must be known well enough; and the chain must not be broken.

An enrolment makes a reference and is a pass at once (R1-1): in place of a comparison an operator of the fleet who may enrol must answer for
it. A witness is looked up where the area has operators; before that terminals name one by an id of the agency's, and any counts.

Order of arrival does not matter: what is derived from neighbours in the chain (`Chain`) is a function of the set of stored links, and
`judge` can be asked again when the fleet knows more (a policy put back, a setting changed).
"""

from __future__ import annotations

from fleet.admission.chain import MAX_COUNTER, Admission, Chain, Position, Refusal, admit, chain_of
from fleet.admission.conflicts import (
    CONTRADICTING,
    EFFECTS,
    Conflict,
    ConflictKind,
    Effect,
    Facts,
    LifeEvent,
    conflicts,
    worst,
)
from fleet.admission.decisions import supports_decision, supports_enrolment
from fleet.admission.facts import Flag, Known, KnownMade, KnownReference
from fleet.admission.judgement import MAX_UNCERTAIN_SPAN, ROSTER_VALIDITY, Judgement, judge, judge_case, judge_moment
from fleet.admission.moments import CLOCK_TOLERANCE, AnyLink, Bracket, bracket_of, moment_of
from fleet.admission.operators import KnownOperator, KnownStaff, covers
from fleet.admission.presence import KnownPresence, supersedes
from fleet.admission.releases import ended_by_releases

__all__ = [
    "CLOCK_TOLERANCE",
    "CONTRADICTING",
    "EFFECTS",
    "MAX_COUNTER",
    "MAX_UNCERTAIN_SPAN",
    "ROSTER_VALIDITY",
    "Admission",
    "AnyLink",
    "Bracket",
    "Chain",
    "Conflict",
    "ConflictKind",
    "Effect",
    "Facts",
    "Flag",
    "Judgement",
    "Known",
    "KnownMade",
    "KnownOperator",
    "KnownPresence",
    "KnownReference",
    "KnownStaff",
    "LifeEvent",
    "Position",
    "Refusal",
    "admit",
    "bracket_of",
    "chain_of",
    "conflicts",
    "covers",
    "ended_by_releases",
    "judge",
    "judge_case",
    "judge_moment",
    "moment_of",
    "supersedes",
    "supports_decision",
    "supports_enrolment",
    "worst",
]
