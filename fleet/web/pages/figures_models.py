"""Models and thresholds: the networks that terminals decide with, the thresholds in force, and how well both did when measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from fleet.accounts.roles import Permission
from fleet.statistics.evaluated import (
    EVERYBODY,
    ComparisonFigures,
    Evaluated,
    Presentations,
    ShippedNetwork,
    evaluated,
)
from fleet.store.policies import newest_policy
from fleet.store.session_figures import NEWEST, ReportedNetwork, networks_reported
from fleet.web.charts import Chart, Form
from fleet.web.texts import Texts
from fleet.web.visits import Visit, needs
from protocol.policy import ComparisonPolicy, Policy

router = APIRouter(include_in_schema=False)
PATH = "/figures/models"
_SHORT = 12
_TERMINALS_NAMED = 20


@dataclass(frozen=True, slots=True)
class Network:
    """One network as shipped, and in how many of the newest sessions it took part."""

    shipped: ShippedNetwork
    sessions: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """A network that terminals decided with and that is none of those that they are shipped with."""

    name: str
    sha256: str
    sessions: int
    terminals: Sequence[str]
    more: int
    """Terminals that are not named."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold of the policy."""

    word: str
    network: str
    value: float


@router.get(PATH)
def models(visit: Annotated[Visit, needs(Permission.FIGURES)]) -> HTMLResponse:
    """Show networks, thresholds and what was measured."""
    with visit.begin() as connection:
        newest = newest_policy(connection)
        reported = networks_reported(connection, visit.codes(connection, Permission.FIGURES))
    words = visit.texts["figures"]
    found = evaluated()
    policy = None if newest is None else newest.policy
    return visit.page(
        "figures/models.html",
        policy=policy,
        comparisons=[] if policy is None else sorted(policy.comparison.items()),
        limits=[] if policy is None else _limits(policy),
        networks=_networks(found, reported),
        strangers=_strangers(found, reported),
        shares=_shares(words, found, reported),
        looked_at=NEWEST,
        found=found,
        det=None if found.comparison is None else _det(words, found.comparison),
        attacks=_rates(words, "species_chart", "species", found.sessions.species if found.sessions else ()),
        living=_rates(words, "living_chart", "paths", found.sessions.living if found.sessions else ()),
        outdated=sorted(_outdated(found)),
        in_force=_in_force(policy, found),
    )


def _networks(found: Evaluated, reported: Sequence[ReportedNetwork]) -> list[Network]:
    sessions: dict[str, int] = {}
    for each in reported:
        sessions[each.sha256] = sessions.get(each.sha256, 0) + each.sessions
    return [Network(shipped, sessions.get(shipped.sha256, 0)) for shipped in found.networks]


def _strangers(found: Evaluated, reported: Sequence[ReportedNetwork]) -> list[Stranger]:
    expected = {each.sha256 for each in found.networks}
    return [
        Stranger(
            each.name,
            each.sha256,
            each.sessions,
            each.terminals[:_TERMINALS_NAMED],
            max(0, len(each.terminals) - _TERMINALS_NAMED),
        )
        for each in reported
        if each.sha256 not in expected
    ]


def _shares(words: Texts, found: Evaluated, reported: Sequence[ReportedNetwork]) -> Chart | None:
    """Return in which share of the sessions of each network which digest took part."""
    if not reported:
        return None
    expected = {each.sha256 for each in found.networks}
    names = sorted({each.name for each in reported})
    whole = {name: sum(each.sessions for each in reported if each.name == name) for name in names}
    as_shipped = dict.fromkeys(names, 0)
    others: dict[str, dict[str, int]] = {}
    for each in reported:
        if each.sha256 in expected:
            as_shipped[each.name] += each.sessions
        else:
            others.setdefault(each.sha256[:_SHORT], {})[each.name] = each.sessions
    series = {words["as_shipped"]: [100 * as_shipped[name] / whole[name] for name in names]}
    for digest, sessions in sorted(others.items()):
        series[digest] = [100 * sessions.get(name, 0) / whole[name] for name in names]
    return Chart(words["shares_chart"], names, series, form=Form.STACKED, y_title="%")


def _limits(policy: Policy) -> list[Limit]:
    """Return the thresholds of the evidence; those of the comparison stand by themselves."""
    found = [Limit("min_similarity", "", policy.continuity.min_similarity)]
    if policy.illumination is not None:
        found.append(Limit("min_code_correlation", "", policy.illumination.min_code_correlation))
        found.append(Limit("min_relief", "", policy.illumination.min_relief))
        found.append(Limit("max_highlight", "", policy.illumination.max_highlight))
    if policy.planarity is not None:
        found.append(Limit("min_residual", "", policy.planarity.min_residual))
    found += [Limit("min_score", name, each.min_score) for name, each in sorted(policy.texture.items())]
    if policy.pulse is not None:
        found.append(Limit("min_snr_db", "", policy.pulse.min_snr_db))
    return [*found, Limit("max_clock_uncertainty_s", "", policy.max_clock_uncertainty_s)]


def _det(words: Texts, figures: ComparisonFigures) -> Chart:
    """Return error rates against each other; a rate of nothing has no place on a logarithmic axis."""
    series: dict[str, Sequence[tuple[float, float]]] = {}
    for name, kinds in figures.curves.items():
        for kind, curve in kinds.items():
            of = words["everybody"] if name == EVERYBODY else words["curve_groups"][name]
            points = [(100 * match, 100 * miss) for match, miss in curve.det if miss > 0]
            series[f"{of}, {words['kinds'][kind]}"] = points
    return Chart(
        words["det_chart"],
        (),
        series,
        form=Form.POINTS,
        x_title=words["fmr_percent"],
        y_title=words["fnmr_percent"],
        logarithmic=True,
    )


def _rates(words: Texts, title: str, table: str, found: Sequence[Presentations]) -> Chart | None:
    if not found:
        return None
    name = words["error_rate"]
    return Chart(
        words[title],
        [words[table][each.name] for each in found],
        {name: [100 * each.rate for each in found]},
        form=Form.SIDEWAYS,
        intervals={name: [(100 * each.interval[0], 100 * each.interval[1]) for each in found]},
    )


def _outdated(found: Evaluated) -> set[str]:
    """Return the networks of which another file was measured than is shipped."""
    shipped = {each.name: each.sha256 for each in found.networks}
    measured = [part.digests for part in (found.comparison, found.sessions, found.texture) if part is not None]
    return {name for digests in measured for name, digest in digests.items() if shipped.get(name) != digest}


def _in_force(policy: Policy | None, found: Evaluated) -> Mapping[str, ComparisonPolicy]:
    """Return the thresholds in force of the network that was measured."""
    if policy is None or found.comparison is None:
        return {}
    return {name: each for name, each in policy.comparison.items() if name in found.comparison.digests}
