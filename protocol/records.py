"""What a terminal records: links of one chain, each signed, each naming the digest of the one before.

Nothing can be left out of such a chain or slipped into it unseen. Its links are certification records (here), case records
(`protocol.cases`) and terminal events (`protocol.events`). A certification record says what was decided, with everything needed to
replay the decision. No picture, no features in the open, no document number.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from protocol.challenge import Action
from protocol.documents import DocumentKind
from protocol.evidence import EvidenceResult
from protocol.ids import (
    ClaimToken,
    FleetId,
    OperatorId,
    RecordId,
    ReferenceId,
    SessionId,
    Sha256,
    SubjectId,
    TerminalId,
    Witness,
)
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName
from protocol.references import CaptureKind, LegalBasis
from protocol.times import DeviceTime
from protocol.visits import Visit
from protocol.wire import WireMessage, WirePart

RECORD_TYP = "lifecert-record"
"""`typ` in the signed header of a record."""


class Link(WireMessage):
    """What every link of a terminal's chain carries."""

    record_id: RecordId
    fleet_id: FleetId
    terminal_id: TerminalId
    counter: int = Field(ge=1)
    """1 for a terminal's first link, then one more each; never used twice."""
    previous: Sha256 | None
    """Digest of the JWS of the link with the counter before this one; None with counter 1."""


class Claim(WirePart):
    """Whom the session was about."""

    document: DocumentKind
    token: ClaimToken
    subject_id: SubjectId | None
    """The subject the terminal's roster has for the token; None when it has none."""


class Comparison(WirePart):
    """The comparison behind a decision; larger scores = more alike.

    `score` is a cosine. Zone and thresholds are those of the score that was judged: the raw one, or the normalised one
    (`protocol.cohort`) where the terminal had a cohort and the policy has thresholds for it.
    """

    reference_id: ReferenceId
    capture: CaptureKind
    score: float = Field(ge=-1.0001, le=1.0001)
    zone: Literal["match", "grey", "non_match"]
    match_threshold: float
    grey_threshold: float
    model_sha256: Sha256
    samples: int = Field(ge=1)
    """How many frames the probe was fused from."""
    judged: Literal["raw", "normalised"] = "raw"
    """Which score zone and thresholds belong to."""
    normalised_score: float | None = Field(default=None, ge=-2.0002, le=2.0002)
    """None where the terminal knew too few others."""
    cohort_people: int = Field(default=0, ge=0)
    """How many others the cohort was made of."""


class AskedAction(WirePart):
    """One prompt of the challenge and what came of it."""

    action: Action
    result: Literal["performed", "wrong", "no_answer"]
    seconds: float = Field(ge=0)
    """From prompt to result."""


class NetworkUse(WirePart):
    """A network that took part."""

    name: str
    sha256: Sha256
    runtime: str
    """Interpreter and version, e.g. `ai-edge-litert 2.3.0`."""


class Decision(WirePart):
    """The terminal's decision and every reason that speaks against certification."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    policy_version: str
    path: PathName
    certified_until: date | None = None
    """The day by which the strictest of the person's obligations is due with this act; only with `certified`, by the rule pack below."""
    rule_pack: str | None = None
    """Id and version of the pack whose obligation that is: `SX-2018/1`."""


class Purpose(StrEnum):
    """What a session is for."""

    CERTIFICATION = "certification"
    ENROLMENT = "enrolment"
    """Makes a live reference on site; the first one is itself a certification (R1-1)."""


class SealedReference(WirePart):
    """A reference that the terminal made, for the fleet's eyes only."""

    kind: Literal["enrolment", "refresh", "photo"]
    """`enrolment`: live, at the request of an operator; `refresh`: of a certified session, proposed to follow the person's ageing, or,
    in an event, for another features network;
    `photo`: of a photograph, provisional (R1-19)."""
    reference_id: ReferenceId
    legal_basis: LegalBasis
    sealed: str = Field(max_length=16384, repr=False)
    """JWE, to the fleet's sealing key, of a `protocol.references.Reference` as JSON."""


class CertificationRecord(Link):
    """One decided session."""

    TYPE: ClassVar[str] = "certification-record"
    VERSION: ClassVar[int] = 1

    type: Literal["certification-record"] = "certification-record"
    version: Literal[1] = 1
    session_id: SessionId
    purpose: Purpose = Purpose.CERTIFICATION
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    """The random number from which challenge and light code were drawn; anyone can draw it again."""
    claim: Claim
    decision: Decision
    comparison: Comparison | None
    evidence: tuple[EvidenceResult, ...]
    challenge: tuple[AskedAction, ...]
    witness: Witness | None = None
    """Who vouches for the presentation; an id without meaning outside the agency. The same as `operator` where the path asks for somebody
    and no second person was there: then the worker vouches alone."""
    operator: OperatorId | None = None
    """Who was signed in at the terminal; an enrolment has one."""
    visit: Visit | None = None
    """Where the terminal was brought to the person."""
    reference: SealedReference | None = None
    """What an enrolment made, or what a certified session proposes."""
    quality: dict[str, float]
    """Named quality components 0..100 of the probe, larger = better."""
    networks: tuple[NetworkUse, ...]
    software: str
    """Version of the terminal program."""
    simulated: bool = False
    """Whether no camera saw what is recorded: a terminal for demonstration or tests."""
    started: DeviceTime
    decided: DeviceTime

    @model_validator(mode="after")
    def _answered_for(self) -> Self:
        if self.purpose is Purpose.ENROLMENT and self.operator is None:
            raise ValueError("an enrolment without an operator")
        if self.visit is not None and self.visit.worker != self.operator:
            raise ValueError("a visit by somebody else than the operator")
        if self.reference is not None and (self.reference.kind == "enrolment") != (self.purpose is Purpose.ENROLMENT):
            raise ValueError(f"a session for {self.purpose} with a reference of kind {self.reference.kind}")
        return self
