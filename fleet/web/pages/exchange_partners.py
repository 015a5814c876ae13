"""Other systems that may use the open interface: rights, keys, what they did, and where news are sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.partners import registry
from fleet.store import partners as store
from fleet.store import webhooks
from fleet.store.partners import Partner, PartnerKind, Scope
from fleet.web.forms import day_in
from fleet.web.pages.exchange import tabs
from fleet.web.sending import Refusals, said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.rules.days import add_months

router = APIRouter(include_in_schema=False)
_LOOK = Permission.EXCHANGE
_CHANGE = Permission.EXCHANGE_DELIVER
_PATH = "/exchange/partners"
_VALID_MONTHS = 12
_USE_DAYS = 30
_MOST_HOURS = 24 * 90
_DEAD_SHOWN = 50


def state_of(partner: Partner, today: date) -> str:
    """Return whether a partner is `in_service`, `expired` or `revoked`."""
    if partner.revoked_at is not None:
        return "revoked"
    return "expired" if partner.valid_until < today else "in_service"


@router.get(_PATH)
def partners(visit: Annotated[Visit, needs(_LOOK)]) -> Response:
    """Show all partners, in service or not."""
    visit.whole_fleet(_LOOK)
    return _partners(visit)


def _partners(visit: Visit, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    with visit.begin() as connection:
        found = store.all_partners(connection)
        waiting = webhooks.backlogs(connection)
    return visit.page(
        "exchange/partners.html",
        status=status,
        tabs=tabs(visit, "partners"),
        rows=[(each, state_of(each, visit.today), waiting.get(each.partner_id, (0, 0))) for each in found],
        until=add_months(visit.today, _VALID_MONTHS),
        scopes=list(Scope),
        kinds=[(kind.value, visit.texts["exchange"]["partner_kinds"][kind.value]) for kind in PartnerKind],
        may_change=_may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
        chosen=visit.sent.lists.get("scope", ()),
    )


def _may_change(visit: Visit) -> bool:
    return visit.visitor.may(_CHANGE) and visit.tops(_CHANGE) is None


@router.post(_PATH)
def add(visit: Annotated[Visit, sends(_CHANGE)]) -> Response:
    """Add a partner, and show its key this once."""
    visit.whole_fleet(_CHANGE)
    sent = visit.sent
    try:
        key = registry.add_partner(
            visit.console.database,
            visit.cipher,
            sent.text("partner_id"),
            name=sent.text("name") or sent.text("partner_id"),
            kind=PartnerKind(sent.text("kind")) if sent.text("kind") in set(PartnerKind) else PartnerKind.OWN,
            areas=_areas(visit),
            scopes=_scopes(visit),
            per_minute=sent.count("per_minute"),
            valid_until=day_in(sent.text("valid_until")) or add_months(visit.today, _VALID_MONTHS),
            by=visit.visitor.name,
            now=visit.now,
        )
    except Refusals as error:
        return _partners(visit, problems=said(visit, error), status=422)
    # Shown by the answer itself: an address would keep it, and nobody can be shown it again.
    return _partner(visit, sent.text("partner_id"), key=key)


def _areas(visit: Visit) -> list[str] | None:
    if "all_areas" in visit.sent.fields:
        return None
    return visit.sent.text("areas").replace(",", " ").replace("，", " ").replace("、", " ").split()


def _scopes(visit: Visit) -> list[Scope]:
    return [Scope(each) for each in visit.sent.lists.get("scope", ()) if each in set(Scope)]


@router.get(_PATH + "/{partner_id}")
def partner(visit: Annotated[Visit, needs(_LOOK)], partner_id: str) -> Response:
    """Show a partner."""
    visit.whole_fleet(_LOOK)
    return _partner(visit, partner_id)


def _partner(
    visit: Visit, partner_id: str, *, key: str = "", problems: Sequence[str] = (), status: int = 200
) -> Response:
    with visit.begin() as connection:
        found = store.find_partner(connection, partner_id)
        if found is None:
            raise not_found()
        keys = store.keys_of(connection, partner_id)
        use = store.use_of(connection, found, visit.now - timedelta(days=_USE_DAYS))
        lines = [
            (line, webhooks.dead_messages(connection, line.webhook.webhook_id, limit=_DEAD_SHOWN))
            for line in webhooks.webhook_lines(connection, partner_id)
        ]
    return visit.page(
        "exchange/partner.html",
        status=status,
        tabs=tabs(visit, "partners"),
        found=found,
        state=state_of(found, visit.today),
        keys=keys,
        use=use,
        use_days=_USE_DAYS,
        lines=lines,
        scopes=list(Scope),
        chosen=visit.sent.lists.get("scope", ()) if problems else tuple(found.scopes),
        key=key,
        may_change=_may_change(visit) and found.revoked_at is None,
        version=registry.version_of(found, len(keys)),
        problems=problems,
        typed=visit.sent.fields if problems else {},
    )


def _status(error: Exception) -> int:
    return 409 if getattr(error, "code", "") == "partner_changed" else 422


@router.post(_PATH + "/{partner_id}/rights")
def change(visit: Annotated[Visit, sends(_CHANGE)], partner_id: str) -> Response:
    """Give a partner other rights, from its next request on."""
    visit.whole_fleet(_CHANGE)
    sent = visit.sent
    areas = _areas(visit)
    try:
        registry.change_partner(
            visit.console.database,
            visit.cipher,
            partner_id,
            by=visit.visitor.name,
            now=visit.now,
            scopes=_scopes(visit),
            areas=areas,
            all_areas=areas is None,
            per_minute=sent.count("per_minute"),
            valid_until=day_in(sent.text("valid_until")),
            seen=sent.text("version"),
        )
    except Refusals as error:
        return _partner(visit, partner_id, problems=said(visit, error), status=_status(error))
    return visit.done(f"{_PATH}/{partner_id}", "partner_changed")


@router.post(_PATH + "/{partner_id}/key")
def roll(visit: Annotated[Visit, sends(_CHANGE)], partner_id: str) -> Response:
    """Give a partner a new key, shown this once; the ones before go on for a while."""
    visit.whole_fleet(_CHANGE)
    hours = min(visit.sent.count("hours"), _MOST_HOURS)
    try:
        key = registry.roll_key(
            visit.console.database,
            visit.cipher,
            partner_id,
            overlap=timedelta(hours=hours),
            by=visit.visitor.name,
            now=visit.now,
            # A second click finds one key more than it was shown, and makes none.
            seen=visit.sent.text("version"),
        )
    except Refusals as error:
        return _partner(visit, partner_id, problems=said(visit, error), status=409)
    return _partner(visit, partner_id, key=key)


@router.post(_PATH + "/{partner_id}/revoke")
def revoke(visit: Annotated[Visit, sends(_CHANGE)], partner_id: str) -> Response:
    """Take a partner out of service at once."""
    visit.whole_fleet(_CHANGE)
    with visit.begin() as connection:
        found = store.find_partner(connection, partner_id)
    if found is None:
        raise not_found()
    try:
        visit.make_sure("revoke", name=found.name)
        registry.revoke_partner(
            visit.console.database,
            visit.cipher,
            partner_id,
            by=visit.visitor.name,
            now=visit.now,
            seen=visit.sent.text("version"),
        )
    except Refusals as error:
        return _partner(visit, partner_id, problems=said(visit, error), status=409)
    return visit.done(f"{_PATH}/{partner_id}", "partner_revoked")


@router.post(_PATH + "/{partner_id}/webhooks/{webhook_id}/resend")
def resend(visit: Annotated[Visit, sends(_CHANGE)], partner_id: str, webhook_id: str) -> Response:
    """Have messages that were given up sent again."""
    visit.whole_fleet(_CHANGE)
    try:
        registry.resend(
            visit.console.database, visit.cipher, partner_id, webhook_id, by=visit.visitor.name, now=visit.now
        )
    except Refusals as error:
        return _partner(visit, partner_id, problems=said(visit, error), status=409)
    return visit.done(f"{_PATH}/{partner_id}", "webhook_resent")
