"""Accounts: who may sign in, with which roles; for administrators, within their areas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fleet.accounts import registry
from fleet.accounts.granting import Actor, NotAllowed
from fleet.accounts.possible import areas_offered, is_fleet_wide, possible, roles_for_new
from fleet.accounts.registry import Account, NameTaken, OutOfService
from fleet.accounts.roles import FLEET_WIDE_ROLES, Grant, Permission, Role
from fleet.errors import Refused
from fleet.store.areas import area_names
from fleet.store.names import cleaned, folded
from fleet.web.codes import qr_of
from fleet.web.lists import LONGEST, listing
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
ACCOUNTS = "/accounts"
Looks = Annotated[Visit, needs(Permission.ACCOUNTS)]
Sends = Annotated[Visit, sends(Permission.ACCOUNTS)]
WHOLE_FLEET = "*"
"""Stands in forms for all areas together; no area's code is so."""
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
        names = _area_names(connection, shown.rows)
    return visit.page("accounts/list.html", shown=shown, area_names=names, roles=_role_choices(visit, Role))


@router.get(f"{ACCOUNTS}/new")
def show_new(visit: Looks) -> Response:
    """Show the form of a new account."""
    return _new_page(visit)


@router.post(f"{ACCOUNTS}/new")
def add(visit: Sends) -> Response:
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
    return visit.done(f"{ACCOUNTS}/{account_id}", "account_added")


@router.get(ACCOUNTS + "/{account_id}")
def show(account_id: str, visit: Looks) -> Response:
    """Show one account."""
    return _page(visit, account_id)


@router.post(ACCOUNTS + "/{account_id}/give")
def give(account_id: str, visit: Sends) -> Response:
    """Give a role."""
    return _change(visit, account_id, registry.give, "role_given", needs_grant=True)


@router.post(ACCOUNTS + "/{account_id}/take")
def take(account_id: str, visit: Sends) -> Response:
    """Take a role."""
    return _change(visit, account_id, registry.take, "role_taken", needs_grant=True)


@router.post(ACCOUNTS + "/{account_id}/disable")
def disable(account_id: str, visit: Sends) -> Response:
    """Take an account out of service."""
    return _change(visit, account_id, registry.disable, "account_disabled")


@router.post(ACCOUNTS + "/{account_id}/enable")
def enable(account_id: str, visit: Sends) -> Response:
    """Take an account back into service."""
    return _change(visit, account_id, registry.enable, "account_enabled")


@router.post(ACCOUNTS + "/{account_id}/reset")
def reset(account_id: str, visit: Sends) -> Response:
    """Forget what an account signs in with."""
    return _change(visit, account_id, registry.reset, "account_reset")


@router.post(ACCOUNTS + "/{account_id}/link")
def make_link(account_id: str, visit: Sends) -> Response:
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
    minutes = int(rules.link.total_seconds() // 60)
    return visit.page("accounts/link.html", account=account, url=url, picture=qr_of(url), minutes=minutes)


def _change(
    visit: Visit, account_id: str, change: Callable[..., None], code: str, *, needs_grant: bool = False
) -> Response:
    _account(visit, account_id)
    wanted: tuple[Grant, ...] = ()
    if needs_grant:
        found = _grant(visit)
        if found is None:
            return _page(visit, account_id, status=422, problems=[visit.texts["accounts"]["problems"]["role"]])
        wanted = (found,)
    try:
        change(visit.console.database, visit.cipher, _actor(visit), account_id, *wanted, now=visit.now)
    except NotAllowed as error:
        return _page(visit, account_id, status=409, problems=_objections(visit, error))
    with visit.begin() as connection:
        is_known = account_id in {
            each.account_id for each in registry.accounts_for(connection, visit.cipher, _actor(visit))
        }
    # Whose last role here was taken is in no area of the visitor's any more.
    return visit.done(f"{ACCOUNTS}/{account_id}" if is_known else ACCOUNTS, code)


def _page(visit: Visit, account_id: str, *, status: int = 200, problems: Iterable[str] = ()) -> Response:
    account = _account(visit, account_id)
    with visit.begin() as connection:
        actor = _actor(visit)
        may = possible(connection, actor, account)
        names = _area_names(connection, [account])
        offered = areas_offered(connection, actor)
    return visit.page(
        "accounts/one.html",
        status=status,
        account=account,
        may=may,
        is_self=account.account_id == visit.visitor.account_id,
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


def _objections(visit: Visit, error: NotAllowed) -> list[str]:
    table = visit.texts["accounts"]["objections"]
    return [table[each.value] for each in error.objections]


def _role_choices(visit: Visit, roles: Iterable[Role]) -> list[tuple[str, str]]:
    return [(role.value, visit.texts["words"]["roles"][role.value]) for role in roles]


def _area_names(connection: Connection, accounts: Iterable[Account]) -> dict[str, str]:
    return area_names(connection, {grant.area for each in accounts for grant in each.grants if grant.area is not None})


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
