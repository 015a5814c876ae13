"""The 1:N search for one face under two identities (R8-11): every new reference against all, some at a time.

Nothing follows from a hit but a place in the queue. A search that was cut off goes on where it was: each block of references is compared
and noted in one transaction. References of another key domain or network are not comparable; how many people that leaves out is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from fleet.clock import Clock, monotonic_s
from fleet.duplicates.matrix import Blocking, Facts, Gallery, Step
from fleet.duplicates.thresholds import SearchThreshold, calibrated, fpir_of, rounded_up, uncalibrated
from fleet.errors import Refused
from fleet.store import calibrations, duplicates, policies
from fleet.store.database import Database
from fleet.store.duplicates import NewHit, Searchable
from fleet.updates.calibration import Proposal
from protocol.calibration import Tail
from protocol.policy import ComparisonPolicy


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be searched, and how."""

    network: str
    """Name under which the policy has thresholds of the network."""
    blocking: Blocking
    fpir: float
    """Wanted false positive identification rate of one person's search, above 0 and below 1."""
    most_hits: int
    """With more new hits than this the threshold is wrong, and the search stops."""
    area: str | None = None
    """Only among the people of this area."""
    model_sha256: str | None = None
    """Beginning of the network's digest, where references are of several."""
    threshold: float | None = None
    """Least cosine, in place of the one that follows from calibration and population."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What one search of a key domain did."""

    model_sha256: str
    key_domain: str
    people: int
    references: int
    new: int
    """References that were not compared in this way before."""
    comparisons: int
    seconds: float
    """Spent on comparing; without the database."""
    threshold: float
    basis: str
    fmr: float | None
    """Expected of one comparison; None where unknown."""
    fpir: float | None
    """What that makes for one person's search."""
    expected_false_hits: float | None
    hits: int
    """New ones."""
    scope: str

    @property
    def comparisons_per_s(self) -> float | None:
        """How fast it went; None where nothing was compared."""
        return self.comparisons / self.seconds if self.comparisons else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did, and whom it could not compare."""

    searches: tuple[Searched, ...]
    left_out: tuple[tuple[str, str, int], ...]
    """Network, key domain and people of which nothing was compared with the others."""


Progress = Callable[[int, int], None]
"""Called with references done and references there are."""


def search(
    database: Database, wanted: Wanted, *, clock: Clock, on_progress: Progress = lambda _done, _all: None
) -> Outcome:
    """Compare what is new of one network with all references of its key domain, domain by domain.

    Raises:
        Refused: if there is nothing to compare, several networks and none is chosen, no threshold can be named, or the hits are so many
            that the threshold must be wrong; what was compared before stays noted.
        DatabaseUnavailable: as any transaction; run it again.
    """
    with database.begin() as connection:
        found = duplicates.populations(connection)
        model = _model(found, wanted)
        comparison, proposal = _calibration(connection, wanted.network, model)
    domains = [(domain, people) for each, domain, people in found if each == model]
    done = [
        _search_one(
            database, wanted, model, domain, _threshold(comparison, proposal, wanted, people), clock, on_progress
        )
        for domain, people in domains
    ]
    return Outcome(tuple(done), tuple(each for each in found if each[0] != model))


def _search_one(
    database: Database,
    wanted: Wanted,
    model: str,
    domain: str,
    threshold: SearchThreshold,
    clock: Clock,
    on_progress: Progress,
) -> Searched:
    scope = f"{wanted.blocking}; {wanted.area or 'everywhere'}"
    with database.begin() as connection:
        stored = _of_one_size(
            duplicates.searchable(connection, model, domain, scope=scope, threshold=threshold.score, area=wanted.area)
        )
    new = [place for place, each in enumerate(stored) if each.is_new]
    comparisons = hits = done = 0
    seconds = 0.0
    steps = iter(_gallery(stored).search(new, wanted.blocking, threshold.score)) if new else iter(())
    while True:
        started = monotonic_s()
        step = next(steps, None)
        seconds += monotonic_s() - started
        if step is None:
            break
        found = _hits(step, stored, threshold.score, model, domain)
        if hits + len(found) > wanted.most_hits:
            raise Refused(
                f"search: more than {wanted.most_hits} hits at {threshold.score:.3f}: the threshold is too low for this"
                " population; calibrate (lifecert-fleet calibrate), or name one with --threshold",
                code="too_many_hits",
                most=wanted.most_hits,
            )
        with database.begin() as connection:
            hits += duplicates.add_hits(connection, found, now=clock())
            duplicates.note_searched(
                connection, [stored[place] for place in step.rows], scope=scope, threshold=threshold.score, now=clock()
            )
        comparisons += step.comparisons
        done += len(step.rows)
        on_progress(done, len(new))
    others = max(1, len(stored) - 1)
    return Searched(
        model_sha256=model,
        key_domain=domain,
        people=len({each.subject_id for each in stored}),
        references=len(stored),
        new=len(new),
        comparisons=comparisons,
        seconds=seconds,
        threshold=threshold.score,
        basis=threshold.basis,
        fmr=threshold.fmr,
        fpir=None if threshold.fmr is None else fpir_of(threshold.fmr, others),
        expected_false_hits=threshold.false_hits(comparisons),
        hits=hits,
        scope=scope,
    )


def _model(found: Sequence[tuple[str, str, int]], wanted: Wanted) -> str:
    models = sorted({model for model, _, _ in found if model.startswith(wanted.model_sha256 or "")})
    if not models:
        raise Refused(
            "references: none of this network is in use; there is nothing to compare", code="nothing_to_compare"
        )
    if len(models) > 1:
        raise Refused(
            f"references are of several networks, which cannot be compared; name one with --model:"
            f" {', '.join(model[:12] for model in models)}",
            code="several_networks",
        )
    return models[0]


def _calibration(connection: Connection, network: str, model: str) -> tuple[ComparisonPolicy, Proposal | None]:
    newest = policies.newest_policy(connection)
    comparison = None if newest is None else newest.policy.comparison.get(network)
    if comparison is None:
        raise Refused(
            f"policy: has no thresholds for network {network}; publish one, or name another with --network",
            code="no_thresholds",
        )
    if comparison.source is None:
        return comparison, None
    stored = calibrations.find_calibrations(connection, comparison.source.calibration_id)
    proposal = Proposal.model_validate(stored[0].proposal) if len(stored) == 1 else None
    # A tail of another network says nothing about these references.
    return comparison, proposal if proposal is not None and proposal.model_sha256 == model else None


def _threshold(comparison: ComparisonPolicy, proposal: Proposal | None, wanted: Wanted, people: int) -> SearchThreshold:
    if wanted.threshold is not None:
        return SearchThreshold(wanted.threshold, "given", None)
    if proposal is not None:
        raw = proposal.raw
        tail = Tail(raw.tail.start, raw.tail.mean_excess, raw.tail.shape, raw.tail.people)
        margin = max(0.0, raw.match - raw.match_estimate)
        return calibrated(tail, match=comparison.match, margin=margin, fpir=wanted.fpir, others=rounded_up(people))
    found = uncalibrated(comparison.match)
    if found is None:
        raise Refused(
            f"network {wanted.network}: no calibration and no known error rates for a search; calibrate"
            " (lifecert-fleet calibrate), or name a threshold with --threshold",
            code="not_calibrated",
        )
    return found


def _of_one_size(stored: Sequence[Searchable]) -> list[Searchable]:
    """Return what has the commonest length and is not zero; anything else is no reference of this network."""
    if not stored:
        return []
    size = Counter(len(each.features) for each in stored).most_common(1)[0][0]
    return [each for each in stored if len(each.features) == size and any(each.features)]


def _gallery(stored: Sequence[Searchable]) -> Gallery:
    features = np.frombuffer(b"".join(each.features for each in stored), np.int8).reshape(len(stored), -1)
    return Gallery(features, [Facts(e.sex, e.birth_date.year if e.birth_date else None) for e in stored])


def _hits(step: Step, stored: Sequence[Searchable], threshold: float, model: str, domain: str) -> list[NewHit]:
    best: dict[tuple[str, str], float] = {}
    for pair in step.pairs:
        one, other = sorted((stored[pair.first].subject_id, stored[pair.second].subject_id))
        # Several references of one person are meant to be alike.
        if one != other:
            best[one, other] = max(pair.score, best.get((one, other), -1.0))
    return [
        NewHit("same_face", pair, score=score, threshold=threshold, model_sha256=model, key_domain=domain)
        for pair, score in best.items()
    ]
