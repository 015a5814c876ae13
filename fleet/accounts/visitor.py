"""PURE. Who is signed in, as pages see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.accounts.roles import Grant, Permission, Role, areas_for, permissions_of
from fleet.store.names import AccountName


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody signed in."""

    account_id: str
    """Opaque; stands in logs in place of the name."""
    name: AccountName
    """What they are called in approvals and the audit log; no two accounts have the same."""
    grants: tuple[Grant, ...]
    form_token: str
    """What every form of theirs carries, so that no other site can send one; the same as long as the session lasts."""
    signed_in_at: datetime
    """When they signed in, whatever they did since."""
    must_set_up: bool = False
    """They came by a link and have no second factor yet: they see the page where it is set up and no other."""

    def may(self, permission: Permission) -> bool:
        """Return whether they have a permission somewhere."""
        return permission in permissions_of(self.grants)

    def areas_for(self, permission: Permission) -> frozenset[str] | None:
        """Return at the top of which areas they have a permission; None for the whole fleet."""
        return areas_for(self.grants, permission)

    @property
    def roles(self) -> frozenset[Role]:
        """Their roles, wherever."""
        return frozenset(grant.role for grant in self.grants)
