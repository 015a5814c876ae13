"""Calibrations: thresholds found from the people served, what they rest on, and how the scores of sessions lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from fleet.accounts.roles import Permission
from fleet.statistics.evaluated import evaluated
from fleet.store.calibrations import StoredCalibration, newest_calibrations
from fleet.store.policies import newest_policy
from fleet.store.session_figures import BIN, NEWEST, ScoreBin, comparison_scores
from fleet.updates.calibration import Found, Proposal
from fleet.updates.policy import APPROVALS
from fleet.web.charts import Chart, Form
from fleet.web.labels import network_word
from fleet.web.palette import tone_of
from fleet.web.texts import Texts
from fleet.web.visits import Visit, needs
from protocol.calibration import Tail

router = APIRouter(include_in_schema=False)
PATH = "/figures/calibrations"
_SHOWN = 20
_DRAWN = 3
"""Of so many of the newest the tail is drawn."""
_STEPS = 24
_ZONES = ("match", "grey", "non_match")
_SHORT = 12
_OF_AREA = "area "
"""How the population of a proposal begins that is not the whole fleet; see `protocol.policy.ThresholdSource`."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One proposal, as it is shown."""

    proposal: Proposal
    proposed_at: datetime
    approvals: int
    policy_version: str | None
    is_in_force: bool
    area: str | None
    """None for the whole fleet's people."""
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class Scores:
    """How the scores of one network lie."""

    network: str
    sessions: int
    chart: Chart | None
    """None where there are too few to be shown."""


@router.get(PATH)
def calibrations(visit: Annotated[Visit, needs(Permission.FIGURES)]) -> HTMLResponse:
    """Show proposals of thresholds, and scores of the newest sessions."""
    with visit.begin() as connection:
        stored = newest_calibrations(connection, limit=_SHOWN)
        newest = newest_policy(connection)
        mine = visit.codes(connection, Permission.FIGURES)
        bins = comparison_scores(connection, mine)
    shown = [each for each in stored if mine is None or _area_of(each) in (None, *mine)]
    policy_version = None if newest is None else newest.policy.policy_version
    words = visit.texts["figures"]
    least = visit.console.settings.statistics.min_cell
    return visit.page(
        "figures/calibrations.html",
        shown=[_calibration(words, each, policy_version, is_drawn=place < _DRAWN) for place, each in enumerate(shown)],
        needed=APPROVALS,
        scores=_scores(words, bins, least),
        looked_at=NEWEST,
        least=least,
    )


def _area_of(stored: StoredCalibration) -> str | None:
    """Return the area whose people a proposal rests on; None for the whole fleet's."""
    population = str(stored.proposal["population"])
    return population.removeprefix(_OF_AREA) if population.startswith(_OF_AREA) else None


def _calibration(words: Texts, stored: StoredCalibration, policy_version: str | None, *, is_drawn: bool) -> Calibration:
    proposal = Proposal.model_validate(stored.proposal)
    return Calibration(
        proposal,
        stored.proposed_at,
        stored.approvals,
        stored.policy_version,
        stored.policy_version is not None and stored.policy_version == policy_version,
        _area_of(stored),
        _tails(words, proposal) if is_drawn else None,
    )


def _tails(words: Texts, proposal: Proposal) -> Chart:
    """Return how often two people are expected to score so much or more, as the tails were fitted to the fleet's own people."""
    series = {words["kinds"]["raw"]: _tail(proposal.raw)}
    if proposal.normalised is not None:
        series[words["kinds"]["normalised"]] = _tail(proposal.normalised)
    return Chart(
        words["tail_chart"].format(
            network=network_word(proposal.network, words.language), people=proposal.people, pairs=proposal.pairs
        ),
        (),
        series,
        form=Form.POINTS,
        x_title=words["score"],
        y_title=words["fmr_percent"],
        marks={words["wanted_rate"]: 100 * proposal.fmr},
    )


def _tail(found: Found) -> list[tuple[float, float]]:
    """Return (score, expected false match rate in percent) from where the tail begins to a little beyond the threshold."""
    fitted = found.tail
    tail = Tail(fitted.start, fitted.mean_excess, fitted.shape, fitted.people)
    end = max(found.match, fitted.start) + 0.05
    step = (end - fitted.start) / _STEPS
    scores = [fitted.start + place * step for place in range(_STEPS + 1)]
    return [(round(score, 4), round(100 * tail.rate(score), 5)) for score in scores]


def _scores(words: Texts, bins: Sequence[ScoreBin], least: int) -> list[Scores]:
    names = {each.sha256: each.name for each in evaluated().networks}
    found = []
    for sha256 in sorted({each.sha256 for each in bins}):
        own = [each for each in bins if each.sha256 == sha256]
        sessions = sum(each.sessions for each in own)
        name = names.get(sha256, sha256[:_SHORT])
        found.append(Scores(name, sessions, _histogram(words, name, own) if sessions >= least else None))
    return found


def _histogram(words: Texts, name: str, bins: Sequence[ScoreBin]) -> Chart:
    counted: dict[tuple[str, int], int] = {}
    for each in bins:
        place = (each.zone, round(each.low / BIN))
        counted[place] = counted.get(place, 0) + each.sessions
    places = [place for _, place in counted]
    reach = range(min(places), max(places) + 1)
    return Chart(
        words["scores_chart"].format(network=network_word(name, words.language)),
        [f"{place * BIN:.2f}" for place in reach],
        {words["zones_of"][zone]: [counted.get((zone, place), 0) for place in reach] for zone in _ZONES},
        form=Form.STACKED,
        x_title=words["score"],
        y_title=words["sessions"],
        tones=[tone_of("zones", zone) for zone in _ZONES],
    )
