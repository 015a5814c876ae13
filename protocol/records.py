"""The certification record: what was decided, and everything needed to replay the decision.

No picture, no features, no document number. A terminal signs the record's bytes; every record names the digest of the one
before it, so that a terminal's records form a chain in which nothing can be left out or slipped in unseen.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

from pydantic import Field

from protocol.challenge import Action
from protocol.documents import DocumentKind
from protocol.evidence import EvidenceResult
from protocol.ids import ClaimToken, FleetId, RecordId, ReferenceId, SessionId, Sha256, SubjectId, TerminalId, Witness
from protocol.outcomes import Outcome, Reason
from protocol.policy import PathName
from protocol.references import CaptureKind
from protocol.times import DeviceTime
from protocol.wire import WireMessage, WirePart

RECORD_TYP = "lifecert-record"
"""`typ` in the signed header of a record."""


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
    """What the person was shown; only with `certified`, by the rule pack below."""
    rule_pack: str | None = None


class CertificationRecord(WireMessage):
    """One decided session."""

    TYPE: ClassVar[str] = "certification-record"
    VERSION: ClassVar[int] = 1

    type: Literal["certification-record"] = "certification-record"
    version: Literal[1] = 1
    record_id: RecordId
    fleet_id: FleetId
    terminal_id: TerminalId
    counter: int = Field(ge=1)
    """1 for a terminal's first record, then one more each; never used twice."""
    previous: Sha256 | None
    """Digest of the JWS of the record with the counter before this one; None with counter 1."""
    session_id: SessionId
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    """The random number from which challenge and light code were drawn; anyone can draw it again."""
    claim: Claim
    decision: Decision
    comparison: Comparison | None
    evidence: tuple[EvidenceResult, ...]
    challenge: tuple[AskedAction, ...]
    witness: Witness | None = None
    """The worker who vouches for the presentation, where the path asks for one; an id without meaning outside the agency."""
    quality: dict[str, float]
    """Named quality components 0..100 of the probe, larger = better."""
    networks: tuple[NetworkUse, ...]
    software: str
    """Version of the terminal program."""
    simulated: bool = False
    """Whether no camera saw what is recorded: a terminal for demonstration or tests."""
    started: DeviceTime
    decided: DeviceTime
