"""Accounts: who may sign in, with which roles; for administrators, within their areas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fleet.accounts import operators, registry, second_word
from fleet.accounts.changes import Change, takes_two, waiting
from fleet.accounts.granting import Actor, NotAllowed
from fleet.accounts.possible import areas_offered, is_fleet_wide, possible, roles_for_new
from fleet.accounts.registry import Account, NameTaken, OutOfService, TakesTwo
from fleet.accounts.roles import FLEET_WIDE_ROLES, Grant, Permission, Role
from fleet.cases import open_words
from fleet.errors import NotFound, Refused
from fleet.store.areas import area_names
from fleet.store.names import cleaned, folded
from fleet.web.codes import qr_of
from fleet.web.lists import LONGEST, listing
from fleet.web.sending import said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
ACCOUNTS = "/accounts"
Looks = Annotated[Visit, needs(Permission.ACCOUNTS)]
Sends = Annotated[Visit, sends(Permission.ACCOUNTS)]
WHOLE_FLEET = "*"
"""Stands in forms for all areas together; no area's code is so."""
Gives = Annotated[Visit, sends(Permission.ACCOUNTS, is_fresh=True)]
"""For whatever gives a role or a way in; taking one away must be quick."""
_PLACE = "\x1f"
"""Between a name and an id in an account's place in the list."""


@router.get(ACCOUNTS)
def show_all(
    visit: Looks, name: str = "", role: str = "", state: str = "", after: str = "", before: str = ""
) -> Response:
    """Show the accounts that the visitor may know of, by name."""
    with visit.begin() as connection:
        known = registry.accounts_for(connection, visit.cipher, _actor(visit))
        found = sorted((each for each in known if _is_asked(each, name[:LONGEST], role, state)), key=_place)
        shown = listing(
            ACCOUNTS,
            {"name": name, "role": role, "state": state},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: _rows(found, behind, ahead, limit),
            key=_place,
        )
        waits = waiting_lines(visit, connection, known)
        names = _area_names(connection, [*shown.rows, *(line.account for line in waits)])
    return visit.page(
        "accounts/list.html", shown=shown, area_names=names, roles=_role_choices(visit, Role), waits=waits
    )


@router.get(f"{ACCOUNTS}/new")
def show_new(visit: Looks) -> Response:
    """Show the form of a new account."""
    return _new_page(visit)


@router.post(f"{ACCOUNTS}/new")
def add(visit: Gives) -> Response:
    """Add an account with its first role."""
    name, wanted = visit.sent.text("name"), _grant(visit)
    texts = visit.texts["accounts"]["problems"]
    try:
        cleaned(name)
    except Refused:
        return _new_page(visit, status=422, problems=[texts["name"]])
    if wanted is None:
        return _new_page(visit, status=422, problems=[texts["role"]])
    try:
        account_id = registry.add_account(
            visit.console.database, visit.cipher, _actor(visit), name=name, grant=wanted, now=visit.now
        )
    except NameTaken:
        return _new_page(visit, status=409, problems=[texts["taken"]])
    except NotAllowed as error:
        return _new_page(visit, status=422, problems=_objections(visit, error))
    code = "account_waits" if takes_two(_actor(visit), [wanted]) else "account_added"
    return visit.done(f"{ACCOUNTS}/{account_id}", code)


@router.get(ACCOUNTS + "/{account_id}")
def show(account_id: str, visit: Looks) -> Response:
    """Show one account."""
    return _page(visit, account_id)


@router.post(ACCOUNTS + "/{account_id}/give")
def give(account_id: str, visit: Gives) -> Response:
    """Give a role."""
    return _change(visit, account_id, registry.give, "role_given", needs_grant=True)


@router.post(ACCOUNTS + "/{account_id}/take")
def take(account_id: str, visit: Sends) -> Response:
    """Take a role."""
    return _change(visit, account_id, registry.take, "role_taken", needs_grant=True, sure="take_role")


@router.post(ACCOUNTS + "/{account_id}/disable")
def disable(account_id: str, visit: Sends) -> Response:
    """Take an account out of service."""
    return _change(visit, account_id, registry.disable, "account_disabled", sure="disable")


@router.post(ACCOUNTS + "/{account_id}/enable")
def enable(account_id: str, visit: Gives) -> Response:
    """Take an account back into service."""
    return _change(visit, account_id, registry.enable, "account_enabled")


@router.post(ACCOUNTS + "/{account_id}/reset")
def reset(account_id: str, visit: Gives) -> Response:
    """Forget what an account signs in with."""
    return _change(visit, account_id, registry.reset, "account_reset", sure="reset")


@router.post(ACCOUNTS + "/{account_id}/operators")
def link_operator(account_id: str, visit: Gives) -> Response:
    """Say which operator of terminals this person is, or is not."""
    operator_id, is_gone = visit.sent.text("operator_id"), "gone" in visit.sent.fields
    change = partial(operators.unlink if is_gone else operators.link, operator_id=operator_id)
    code, sure = ("operator_unlinked", "operator_gone") if is_gone else ("operator_linked", "")
    return _change(visit, account_id, change, code, sure=sure)


@router.post(ACCOUNTS + "/{account_id}/link")
def make_link(account_id: str, visit: Gives) -> Response:
    """Make a link and show it, once."""
    account, rules = _account(visit, account_id), visit.console.account_rules
    try:
        url = registry.make_link(
            visit.console.database, visit.cipher, _actor(visit), account_id, rules=rules, now=visit.now
        )
    except NotAllowed as error:
        return _page(visit, account_id, status=409, problems=_objections(visit, error))
    except OutOfService:
        return _page(visit, account_id, status=409, problems=[visit.texts["accounts"]["problems"]["out_of_service"]])
    except TakesTwo:
        return _change(visit, account_id, registry.ask_link, "link_waits")
    minutes = int(rules.link.total_seconds() // 60)
    return visit.page("accounts/link.html", account=account, url=url, picture=qr_of(url), minutes=minutes)


@router.post(ACCOUNTS + "/changes/{change_id}/approve")
def approve(change_id: str, visit: Gives) -> Response:
    """Say the second word on a change."""
    return _decide(visit, change_id, second_word.approve, "change_approved")


@router.post(ACCOUNTS + "/changes/{change_id}/drop")
def drop(change_id: str, visit: Sends) -> Response:
    """Refuse a change, or take it back."""
    return _decide(visit, change_id, second_word.drop, "change_dropped")


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """A change that waits, as the visitor sees it."""

    change: Change
    account: Account
    asked_by: str
    is_own: bool
    against: tuple[str, ...]
    """Why the visitor cannot agree to it."""


def waiting_lines(visit: Visit, connection: Connection, known: Iterable[Account]) -> list[WaitingLine]:
    """Return what waits for a second administrator about accounts that the visitor knows of, the oldest first."""
    accounts = {each.account_id: each for each in known}
    actor, lines = _actor(visit), []
    for change in waiting(connection, accounts):
        against = second_word.objections(connection, actor, change)
        lines.append(
            WaitingLine(
                change,
                accounts[change.account_id],
                registry.name_of(connection, visit.cipher, change.asked_by),
                change.asked_by == actor.account_id,
                tuple(visit.texts["accounts"]["objections"][each.value] for each in against),
            )
        )
    return lines


def _decide(visit: Visit, change_id: str, decide: Callable[..., Change], code: str) -> Response:
    with visit.begin() as connection:
        known = registry.accounts_for(connection, visit.cipher, _actor(visit))
        asked = {each.change_id: each for each in waiting(connection, [each.account_id for each in known])}
    if change_id not in asked:
        raise not_found()
    account_id = asked[change_id].account_id
    try:
        if code == "change_approved":
            visit.make_sure("approve_change")
        decide(visit.console.database, visit.cipher, _actor(visit), change_id, now=visit.now)
    except NotAllowed as error:
        return _page(visit, account_id, status=409, problems=_objections(visit, error))
    except NotFound:
        return _page(visit, account_id, status=409, problems=[visit.texts["accounts"]["problems"]["change_decided"]])
    except Refused as error:
        return _page(visit, account_id, status=422, problems=said(visit, error))
    with visit.begin() as connection:
        known = registry.accounts_for(connection, visit.cipher, _actor(visit))
    is_known = any(each.account_id == account_id for each in known)
    return visit.done(f"{ACCOUNTS}/{account_id}" if is_known else ACCOUNTS, code)


def _change(
    visit: Visit,
    account_id: str,
    change: Callable[..., bool | None],
    code: str,
    *,
    needs_grant: bool = False,
    sure: str = "",
) -> Response:
    """Do something to an account; what cannot be taken back is asked about first, by `sure`, a table of `texts.sure`."""
    account = _account(visit, account_id)
    wanted: tuple[Grant, ...] = ()
    if needs_grant:
        found = _grant(visit)
        if found is None:
            return _page(visit, account_id, status=422, problems=[visit.texts["accounts"]["problems"]["role"]])
        wanted = (found,)
    try:
        if sure:
            visit.make_sure(sure, _meant(visit, wanted), name=account.name, operator=visit.sent.text("operator_id"))
        done = change(visit.console.database, visit.cipher, _actor(visit), account_id, *wanted, now=visit.now)
    except NotAllowed as error:
        return _page(visit, account_id, status=409, problems=_objections(visit, error))
    except NotFound:
        return _page(visit, account_id, status=422, problems=[visit.texts["accounts"]["problems"]["operator_unknown"]])
    except Refused as error:
        return _page(visit, account_id, status=422, problems=said(visit, error))
    if change in (registry.disable, registry.take):
        open_words.drop_of(
            visit.console.database,
            visit.cipher,
            account_id,
            by=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
        )
    with visit.begin() as connection:
        is_known = account_id in {
            each.account_id for each in registry.accounts_for(connection, visit.cipher, _actor(visit))
        }
    # Whose last role here was taken is in no area of the visitor's any more.
    return visit.done(f"{ACCOUNTS}/{account_id}" if is_known else ACCOUNTS, "change_waits" if done is False else code)


def _page(visit: Visit, account_id: str, *, status: int = 200, problems: Iterable[str] = ()) -> Response:
    account = _account(visit, account_id)
    with visit.begin() as connection:
        waits = waiting_lines(visit, connection, [account])
        linked = operators.linked(connection, account_id)
        actor = _actor(visit)
        may = possible(connection, actor, account)
        names = _area_names(connection, [account])
        is_decisive = takes_two(actor, (*account.grants, *account.waiting))
        offered = areas_offered(connection, actor)
    return visit.page(
        "accounts/one.html",
        status=status,
        account=account,
        may=may,
        is_self=account.account_id == visit.visitor.account_id,
        waits=waits,
        operators=linked,
        is_decisive=is_decisive,
        area_names=names,
        roles=_role_choices(visit, may.roles),
        offered=offered,
        is_fleet_wide=is_fleet_wide(actor),
        problems=list(problems),
        typed=visit.sent.fields,
    )


def _new_page(visit: Visit, *, status: int = 200, problems: Iterable[str] = ()) -> Response:
    actor = _actor(visit)
    with visit.begin() as connection:
        offered = areas_offered(connection, actor)
    return visit.page(
        "accounts/new.html",
        status=status,
        roles=_role_choices(visit, roles_for_new(actor)),
        offered=offered,
        is_fleet_wide=is_fleet_wide(actor),
        problems=list(problems),
        typed=visit.sent.fields,
    )


def _account(visit: Visit, account_id: str) -> Account:
    """Return an account that the visitor may know of; any other is answered as if it did not exist."""
    with visit.begin() as connection:
        known = registry.accounts_for(connection, visit.cipher, _actor(visit))
    found = next((each for each in known if each.account_id == account_id), None)
    if found is None:
        raise not_found()
    return found


def _actor(visit: Visit) -> Actor:
    return registry.signed_in(visit.visitor)


def _grant(visit: Visit) -> Grant | None:
    """Return the role and area that were sent; None if that is no role, or no area was chosen."""
    area = visit.sent.text("area")
    try:
        role = Role(visit.sent.text("role"))
    except ValueError:
        return None
    # An administrator of the fleet has no area to choose. The whole fleet is chosen like any area: it is what nobody gets by oversight.
    if not area and role not in FLEET_WIDE_ROLES:
        return None
    return Grant(role, None if area in ("", WHOLE_FLEET) else area)


def _meant(visit: Visit, wanted: Iterable[Grant]) -> list[tuple[str, str]]:
    texts = visit.texts["accounts"]
    with visit.begin() as connection:
        names = area_names(connection, {grant.area for grant in wanted if grant.area is not None})
    return [
        line
        for grant in wanted
        for line in (
            (texts["role"], visit.texts["words"]["roles"][grant.role.value]),
            (texts["area"], names.get(grant.area or "", grant.area) or visit.texts["account"]["whole_fleet"]),
        )
    ]


def _objections(visit: Visit, error: NotAllowed) -> list[str]:
    table = visit.texts["accounts"]["objections"]
    return [table[each.value] for each in error.objections]


def _role_choices(visit: Visit, roles: Iterable[Role]) -> list[tuple[str, str]]:
    return [(role.value, visit.texts["words"]["roles"][role.value]) for role in roles]


def _area_names(connection: Connection, accounts: Iterable[Account]) -> dict[str, str]:
    return area_names(
        connection, {g.area for each in accounts for g in (*each.grants, *each.waiting) if g.area is not None}
    )


def _is_asked(account: Account, name: str, role: str, state: str) -> bool:
    is_named = folded(name) in folded(account.name) or name.strip() == account.account_id
    has_role = not role or any(grant.role.value == role for grant in account.grants)
    return is_named and has_role and (not state or _state(account) == state)


def _state(account: Account) -> str:
    if account.disabled_at is not None:
        return "disabled"
    return "in_service" if account.is_set_up else "not_set_up"


def _place(account: Account) -> str:
    return f"{folded(account.name)}{_PLACE}{account.account_id}"


def _rows(found: list[Account], behind: str, ahead: str, limit: int) -> list[Account]:
    if ahead:
        return [each for each in found if _place(each) < ahead][-limit:]
    return [each for each in found if not behind or _place(each) > behind][:limit]
