"""People who sign in to a demo's console: one for each role, set up as each would do it themselves."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pyotp

from demo.processes import DemoError
from fleet.accounts import registry
from fleet.accounts.factors import Changed, Factors, NotChanged
from fleet.accounts.granting import Actor
from fleet.accounts.passwords import Passwords
from fleet.accounts.roles import Grant, Role
from fleet.accounts.signing_in import SignedIn, SignIn
from fleet.app import Fleet, account_rules

STAFF: Sequence[tuple[str, Role]] = (
    ("Shen Yulan", Role.FLEET_ADMINISTRATOR),
    ("Luo Jiming", Role.REVIEWER),
    ("Peng Shuhua", Role.REVIEWER),
    ("Dong Wenqing", Role.OPERATOR),
    ("Cao Lijuan", Role.AUDITOR),
    ("Xie Haiyun", Role.VIEWER),
    ("Fu Deming", Role.FLEET_ADMINISTRATOR),
)
"""Made-up people and what each is, in the whole fleet. Two reviewers and two administrators, because decisions take two persons."""
_HERE = "127.0.0.1"


def add_staff(fleet: Fleet, staff: Sequence[tuple[str, Grant]] = ()) -> None:
    """Add an account for everybody, and give each a password and a code generator that nobody knows: they sign in by links.

    Args:
        fleet: whose.
        staff: names, and what each is where; none for everybody of `STAFF`, in the whole fleet.

    Raises:
        DemoError: if an account cannot be set up, which is a fault of ours.
        FleetError: if a name is taken.
    """
    passwords, rules = Passwords(), account_rules(fleet.settings)
    sign_in = SignIn(fleet.database, fleet.keys.cipher, passwords, rules)
    factors = Factors(fleet.database, fleet.keys.cipher, passwords, rules)
    for name, grant in staff or [(name, Grant(role, None)) for name, role in STAFF]:
        registry.add_account(
            fleet.database, fleet.keys.cipher, _keyboard(fleet), name=name, grant=grant, now=fleet.clock()
        )
        entered = sign_in.link(_token(link_for(fleet, name)), address=_HERE, now=fleet.clock())
        if not isinstance(entered, SignedIn):
            raise DemoError(f"demo account: {entered.why}")
        password = secrets.token_urlsafe(16)
        cookie = _done(factors.set_password(entered.session.cookie, password, now=fleet.clock()))
        offer = factors.offer_generator(cookie, now=fleet.clock())
        if isinstance(offer, NotChanged):
            raise DemoError(f"demo account: {offer.problems}")
        code = pyotp.TOTP(offer.secret).at(fleet.clock())
        _done(factors.confirm_generator(cookie, code, now=fleet.clock()))


def links(fleet: Fleet, more: Sequence[tuple[str, Grant]] = ()) -> dict[str, str]:
    """Return for everybody, by name and role, a link that signs them in once.

    Args:
        fleet: whose.
        more: people beside those of `STAFF`, and what each is where.
    """
    everybody = [*((name, Grant(role, None)) for name, role in STAFF), *more]
    return {
        f"{name}, {grant.role.replace('_', ' ')}{f' in {grant.area}' if grant.area else ''}": link_for(fleet, name)
        for name, grant in everybody
    }


def link_for(fleet: Fleet, name: str) -> str:
    """Return the address of a link that signs somebody in, once and soon."""
    with fleet.database.begin() as connection:
        account_id = registry.find(connection, fleet.keys.cipher, name)
    return registry.make_link(
        fleet.database,
        fleet.keys.cipher,
        _keyboard(fleet),
        account_id,
        rules=account_rules(fleet.settings),
        now=fleet.clock(),
    )


def _keyboard(fleet: Fleet) -> Actor:
    with fleet.database.begin() as connection:
        return registry.at_keyboard(connection, fleet.keys.cipher, "demo")


def _token(url: str) -> str:
    return url.rpartition("/")[2]


def _done(found: Changed | NotChanged) -> str:
    if isinstance(found, NotChanged):
        raise DemoError(f"demo account: {found.problems}")
    return found.session.cookie
