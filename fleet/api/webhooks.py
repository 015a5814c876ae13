"""Routes by which partners say where news are to be sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Security
from pydantic import BaseModel, ConfigDict, Field

from fleet.api.access import Office, authorised
from fleet.api.forms import Form
from fleet.api.problems import FieldProblem, Refusal, described, invalid_request
from fleet.errors import Refused
from fleet.partners.credentials import Caller
from fleet.partners.webhooks import MAX_URL, make_webhook, resolve, target_of
from fleet.store.certifications import lock_partner
from fleet.store.partners import PartnerKind, Scope
from fleet.store.webhooks import WebhookEvent, WebhookLine, add_webhook, end_webhook, webhook_lines

Manager = Annotated[Caller, Security(authorised, scopes=[Scope.WEBHOOKS_MANAGE.value])]
WebhookId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The webhook's id.")]
_MOST = 10
"""Webhooks of one partner: each costs a row for every piece of news."""


class WebhookForm(Form):
    """Where to send which news."""

    url: str = Field(
        min_length=8, max_length=MAX_URL, pattern=r"^https?://[!-~]+$", examples=["https://partner.example/hook"]
    )
    """Takes a POST and answers with a status from 200 to 299. Plain http is for the agency's own programs on the fleet's machine."""
    events: list[WebhookEvent] = Field(min_length=1, max_length=len(WebhookEvent), examples=[["status.changed"]])
    """What to be told; about people it needs the scope `status:read` as well."""


class WebhookView(BaseModel):
    """One webhook and how it does."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    webhook_id: str
    url: str
    events: list[WebhookEvent]
    added_at: datetime
    delivered: int
    waiting: int
    dead: int
    """Messages that nobody took in time; they are not sent again."""
    last_result: str | None
    """Of the message that waits."""
    next_try_at: datetime | None


class NewWebhook(BaseModel):
    """A webhook that was just made, with its secret."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    webhook_id: str
    secret: str
    """Checks signatures; given here once.."""


class Webhooks(BaseModel):
    """All webhooks of a partner."""

    webhooks: list[WebhookView]


def webhooks_router(office: Office) -> APIRouter:
    """Return the routes of webhooks."""
    router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
    errors = described(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)

    @router.post("", operation_id="add_webhook", status_code=201, responses=errors)
    def add(form: WebhookForm, caller: Manager) -> NewWebhook:
        """Have news sent to a URL, signed with the secret that this answer gives."""
        try:
            target_of(
                form.url,
                is_own=caller.partner.kind is PartnerKind.OWN,
                allows_private=office.settings.webhooks.private_addresses,
                resolve=resolve,
            )
        except Refused as error:
            raise invalid_request([FieldProblem(pointer="#/url", detail=str(error))]) from error
        now = office.clock()
        events = tuple(sorted(set(form.events)))
        webhook, secret = make_webhook(office.keys.cipher, caller.partner.partner_id, form.url, events, now=now)
        with office.database.begin() as connection:
            lock_partner(connection, caller.partner.partner_id)
            if len(webhook_lines(connection, caller.partner.partner_id)) >= _MOST:
                raise Refusal(409, "too_many_webhooks", f"{_MOST} webhooks at most; delete one first")
            add_webhook(connection, webhook)
            detail = {"webhook": webhook.webhook_id, "events": list(events)}
            office.note(connection, caller, "webhook.added", detail=detail, now=now)
        return NewWebhook(webhook_id=webhook.webhook_id, secret=secret)

    @router.get("", operation_id="list_webhooks", responses=errors)
    def list_(caller: Manager) -> Webhooks:
        """Return your webhooks and how deliveries go."""
        with office.database.begin() as connection:
            return Webhooks(webhooks=[_view(line) for line in webhook_lines(connection, caller.partner.partner_id)])

    @router.delete("/{webhook_id}", operation_id="delete_webhook", status_code=204, responses=errors)
    def delete(webhook_id: WebhookId, caller: Manager) -> None:
        """Send nothing to this URL any more, what waits neither."""
        now = office.clock()
        with office.database.begin() as connection:
            if not end_webhook(connection, caller.partner.partner_id, webhook_id, now=now):
                raise Refusal(404, "unknown_webhook", "you have none of this id")
            office.note(connection, caller, "webhook.ended", detail={"webhook": webhook_id}, now=now)

    return router


def _view(line: WebhookLine) -> WebhookView:
    return WebhookView(
        webhook_id=line.webhook.webhook_id,
        url=line.webhook.url,
        events=list(line.webhook.events),
        added_at=line.webhook.added_at,
        delivered=line.delivered,
        waiting=line.waiting,
        dead=line.dead,
        last_result=line.last_result,
        next_try_at=line.next_try_at,
    )
