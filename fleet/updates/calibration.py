"""Thresholds found from the fleet's own people: proposed by the program, approved by two persons, signed into a new policy.

A proposal rests on the newest usable reference of each person. References are compared with references; a probe from a terminal
differs from them by its light and age, so what terminals see stays to be watched.

Whoever proposes approves nothing by that; they may approve like anybody else, and then count as one of the two. Names are recorded as
they are given, sealed like all names, and marked as not verified.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FleetKeys
from fleet.store import calibrations, policies
from fleet.store.calibrations import Population, StoredCalibration
from fleet.store.database import Database
from fleet.store.names import cleaned, seal_approver
from fleet.updates.policy import APPROVALS, issue, lock_policies
from protocol.calibration import (
    MOST_PEOPLE,
    Calibration,
    CalibrationImpossible,
    ImpostorScores,
    calibrate,
)
from protocol.cohort import LEAST_PEOPLE, NEAREST_SHARE, levels, normalised
from protocol.policy import ComparisonPolicy, NormalisedThresholds, Policy, ThresholdSource

VALID_DAYS = 90
"""A proposal older than a quarter was made of other people than the fleet has now."""
HIGHEST_MATCH = 0.9
"""No raw match threshold above it is proposed: hardly anybody would reach it. Source: LFW, MobileFaceNet int8, flip-averaged: 97 % of
genuine scores lie below."""
DOUBLE_SCORE = 0.75
"""Two references this alike may be of one person. Source: as above; 4 of 7.3 million pairs of different names reach it, some of them
labelling errors, and 54 % of the genuine pairs."""


Real = NDArray[np.float64]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TailFigures(_Part):
    """The fitted tail; see `protocol.calibration.Tail`."""

    start: float
    mean_excess: float
    shape: float
    people: float


class Found(_Part):
    """Thresholds for one kind of score."""

    match: float
    match_estimate: float
    match_interval: tuple[float, float]
    grey: float
    tail: TailFigures
    highest: float


class Proposal(_Part):
    """What a calibration found, and what it rests on."""

    calibration_id: str
    network: str
    model_sha256: str
    key_domain: str
    population: str
    fmr: float
    grey_fmr: float
    people: int
    """Whose references were compared."""
    people_in_population: int
    people_left_out: int
    """Whose references are of another network or key domain only."""
    pairs: int
    doubles: int
    """Pairs alike enough to be one person enrolled twice; they raise the thresholds and are worth a look first."""
    raw: Found
    normalised: Found | None
    why_not_normalised: str | None
    before: ComparisonPolicy
    """The thresholds in force when this was proposed."""

    def after(self) -> ComparisonPolicy:
        """Return the thresholds that approval puts in force."""
        return ComparisonPolicy(
            match=self.raw.match,
            grey=self.raw.grey,
            source=self._source(self.raw),
            normalised=None
            if self.normalised is None
            else NormalisedThresholds(
                match=self.normalised.match,
                grey=self.normalised.grey,
                nearest_share=NEAREST_SHARE,
                least_people=LEAST_PEOPLE,
                source=self._source(self.normalised),
            ),
        )

    def _source(self, found: Found) -> ThresholdSource:
        return ThresholdSource(
            calibration_id=self.calibration_id,
            population=self.population,
            fmr=self.fmr,
            grey_fmr=self.grey_fmr,
            match_estimate=found.match_estimate,
            match_interval=found.match_interval,
            people=self.people,
            pairs=self.pairs,
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be calibrated."""

    network: str
    """Name under which the policy has its thresholds."""
    fmr: float
    grey_fmr: float
    area: str | None = None
    """None for the whole fleet."""
    model_sha256: str | None = None
    """Beginning of the digest; needed where references are of several networks."""

    def __post_init__(self) -> None:
        if not 0 < self.fmr <= self.grey_fmr <= 0.1:
            raise Refused(
                f"false match rates {self.fmr:g} and {self.grey_fmr:g}: 0 < match <= grey <= 0.1 expected",
                code="rates_unusable",
            )


@dataclass(frozen=True, slots=True)
class Approval:
    """What an approval came to."""

    calibration_id: str
    approvals: int
    policy_version: str | None
    """The policy that is now in force; None as long as another approval is missing."""


def propose(database: Database, keys: FleetKeys, wanted: Wanted, *, by: str, now: datetime, today: date) -> Proposal:
    """Find thresholds, store the proposal and return it.

    Raises:
        Refused: if there are too few people, with the reason: the thresholds in force stay; if no policy is in force or it does
            not know the network; or if the references are of several networks and none is chosen.
    """
    name = cleaned(by)
    with database.begin() as connection:
        newest = policies.newest_policy(connection)
        before = None if newest is None else newest.policy.comparison.get(wanted.network)
        if newest is None or before is None:
            known = "none is in force" if newest is None else f"it has {', '.join(sorted(newest.policy.comparison))}"
            raise Refused(
                f"policy: has no thresholds for network {wanted.network}; {known}",
                code="network_unknown",
                network=wanted.network,
            )
        everybody = calibrations.populations(connection, area=wanted.area, today=today)
        chosen = _chosen(everybody, wanted)
        stored = calibrations.features_of(connection, chosen, area=wanted.area, today=today, limit=MOST_PEOPLE)
    proposal = _proposal(wanted, chosen, everybody, _directions(stored), before)
    with database.begin() as connection:
        calibrations.add_calibration(
            connection,
            proposal.calibration_id,
            network=proposal.network,
            proposal=proposal.model_dump_json(),
            thresholds=proposal.after().model_dump_json(),
            proposer_sealed=keys.cipher.encrypt(name, subject_id=proposal.calibration_id, field_name="proposer"),
            now=now,
        )
        _note(connection, keys, by, "proposed", proposal.calibration_id, now, people=proposal.people)
    return proposal


def approve(database: Database, keys: FleetKeys, beginning: str, *, by: str, now: datetime) -> Approval:
    """Note a person's approval; the second one signs the thresholds into a new policy and puts it in force.

    Args:
        database: the fleet's.
        keys: the fleet's.
        beginning: of the proposal's id, long enough to be one alone.
        by: who approves.
        now: when.

    Raises:
        NotFound: if there is no such proposal.
        Refused: if this person has approved before; if the proposal is in force or too old; or if the thresholds it was to replace have
            changed since.
    """
    with database.begin() as connection:
        # First the lock, then what to look at: another's approval that this waited for is seen.
        calibrations.lock_calibrations(connection, beginning)
        stored = _one(calibrations.find_calibrations(connection, beginning), beginning)
        name = seal_approver(keys.cipher, by, of=stored.calibration_id)
        if stored.policy_version is not None:
            raise Refused(
                f"calibration {stored.calibration_id}: is in force as policy {stored.policy_version}",
                code="calibration_in_force",
                policy=stored.policy_version,
            )
        if now - stored.proposed_at > timedelta(days=VALID_DAYS):
            raise Refused(
                f"calibration {stored.calibration_id}: older than {VALID_DAYS} days; propose anew",
                code="calibration_too_old",
                days=VALID_DAYS,
            )
        if calibrations.has_approved(connection, stored.calibration_id, name.digest):
            raise Refused(
                f"calibration {stored.calibration_id}: this person has approved it; another one must",
                code="same_person",
            )
        name.demand_unbound(
            calibrations.approved_by(connection, stored.calibration_id), f"calibration {stored.calibration_id}"
        )
        count = stored.approvals + 1
        calibrations.add_approval(connection, stored.calibration_id, place=count, name=name, now=now)
        if count < APPROVALS:
            _note(connection, keys, by, "approved", stored.calibration_id, now, approvals=count)
            return Approval(stored.calibration_id, count, None)
        lock_policies(connection)
        newest = policies.newest_policy(connection)
        policy = _with_thresholds(None if newest is None else newest.policy, stored)
        issue(connection, keys, policy, now=now)
        calibrations.set_policy(connection, stored.calibration_id, policy.policy_version)
        in_force = {"approvals": count, "policy_version": policy.policy_version}
        _note(connection, keys, by, "put_in_force", stored.calibration_id, now, **in_force)
    return Approval(stored.calibration_id, count, policy.policy_version)


def _note(
    connection: Connection, keys: FleetKeys, by: str, verb: str, calibration_id: str, now: datetime, **detail: object
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=f"calibration.{verb}",
        object_kind="calibration",
        object_id=calibration_id,
        detail=detail,
        now=now,
    )


def _chosen(everybody: list[Population], wanted: Wanted) -> Population:
    matching = [found for found in everybody if found.model_sha256.startswith(wanted.model_sha256 or "")]
    if not matching:
        raise Refused(
            "references: nobody of this population has a usable one of this network; thresholds stay as they are",
            code="no_references",
        )
    models = sorted({found.model_sha256 for found in matching})
    if len(models) > 1:
        raise Refused(
            f"references are of several networks; name one with --model: {', '.join(m[:12] for m in models)}",
            code="several_networks",
            models=[model[:12] for model in models],
        )
    return matching[0]


def _proposal(
    wanted: Wanted, chosen: Population, everybody: list[Population], vectors: Real, before: ComparisonPolicy
) -> Proposal:
    people = len(vectors)
    first, second = (side.astype(np.intp) for side in np.triu_indices(people, 1))
    cosines = vectors @ vectors.T
    scores = cosines[first, second]
    rates = (wanted.fmr, wanted.grey_fmr)
    try:
        raw = _found(calibrate(ImpostorScores(scores, first, second, people), rates))
    except CalibrationImpossible as error:
        raise Refused(
            f"references: {error}; the thresholds in force stay (match {before.match:g})",
            code="too_few_people",
            match=before.match,
        ) from error
    if raw.match > HIGHEST_MATCH:
        raise Refused(
            f"references: the raw match threshold would be {raw.match:.3f}, above {HIGHEST_MATCH:g}: too few people or "
            f"somebody enrolled twice; the thresholds in force stay (match {before.match:g})",
            code="threshold_too_high",
            found=round(raw.match, 3),
            highest=HIGHEST_MATCH,
            match=before.match,
        )
    lifted: Found | None = None
    reason: str | None = None
    # Each pair is compared without its own two people in the cohort.
    if people - 2 >= LEAST_PEOPLE:
        level = levels(cosines, np.arange(people), NEAREST_SHARE)
        lifted_scores = normalised(scores, level[first, second], level[second, first])
        lifted = _found(calibrate(ImpostorScores(lifted_scores, first, second, people), rates))
    else:
        reason = f"{people} people, {LEAST_PEOPLE + 2} needed for a cohort"
    return Proposal(
        calibration_id=os.urandom(16).hex(),
        network=wanted.network,
        model_sha256=chosen.model_sha256,
        key_domain=chosen.key_domain,
        population="fleet" if wanted.area is None else f"area {wanted.area}",
        fmr=wanted.fmr,
        grey_fmr=wanted.grey_fmr,
        people=people,
        people_in_population=chosen.people,
        people_left_out=sum(found.people for found in everybody if found != chosen),
        pairs=len(scores),
        doubles=int((scores >= DOUBLE_SCORE).sum()),
        raw=raw,
        normalised=lifted,
        why_not_normalised=reason,
        before=before,
    )


def _found(calibration: Calibration) -> Found:
    match, grey = calibration.thresholds
    tail = calibration.tail
    return Found(
        match=round(match.threshold, 4),
        match_estimate=round(match.estimate, 4),
        match_interval=(round(match.interval[0], 4), round(match.interval[1], 4)),
        # The best estimate: below grey a machine refuses, so no margin is added against the person.
        grey=round(min(grey.estimate, match.threshold), 4),
        tail=TailFigures(start=tail.start, mean_excess=tail.mean_excess, shape=tail.shape, people=tail.people),
        highest=calibration.highest,
    )


def _directions(stored: list[bytes]) -> Real:
    """Return unit vectors, float64 (N, D); what has another length than most, or none, is left out."""
    vectors = [np.frombuffer(features, np.int8).astype(np.float64) for features in stored]
    sizes = [len(vector) for vector in vectors]
    size = max(set(sizes), key=sizes.count)
    kept = [vector / np.linalg.norm(vector) for vector in vectors if len(vector) == size and vector.any()]
    return np.array(kept, np.float64).reshape(len(kept), size)


def _with_thresholds(policy: Policy | None, stored: StoredCalibration) -> Policy:
    proposal = Proposal.model_validate(stored.proposal)
    if policy is None or policy.comparison.get(proposal.network) != proposal.before:
        raise Refused(
            f"calibration {proposal.calibration_id}: the thresholds it was to replace have changed since; propose anew",
            code="thresholds_changed",
        )
    stem = _CALIBRATED.sub("", policy.policy_version)[:_STEM]
    return policy.model_copy(
        update={
            "policy_version": f"{stem}.cal-{proposal.calibration_id[:8]}",
            "comparison": {**policy.comparison, stored.network: ComparisonPolicy.model_validate(stored.thresholds)},
        }
    )


_CALIBRATED = re.compile(r"\.cal-[0-9a-f]{8}$")
_STEM = 27
"""What a policy version of at most 40 characters leaves."""


def _one(found: list[StoredCalibration], beginning: str) -> StoredCalibration:
    if not found or not beginning:
        raise NotFound(f"calibration {beginning}: none has an id that begins so", code="calibration_unknown")
    if len(found) > 1:
        raise NotFound(f"calibration {beginning}: several ids begin so; give more of it", code="calibration_unknown")
    return found[0]
