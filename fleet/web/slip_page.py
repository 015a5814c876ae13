"""The page that checks result slips: one file with everything in it, the fleet's public key too, that asks nobody for anything.

A telephone opens it by the address in a slip's code, where the slip is the fragment, which browsers send to nobody; saved as a file it
works without any network. Its content security policy names its one script and its one style sheet by digest and allows nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from protocol import base45
from protocol.attestation import STATEMENT_TYP
from protocol.keys import PublicJwk
from protocol.slip import KINDS, MAX_CHARACTERS, OUTCOMES, PREFIX, SLIP_TYP, STEPS
from protocol.slip_words import slip_texts

_HERE = Path(__file__).parent
_CACHED_S = 86400
"""A telephone that opened the page within the last day opens it without a network."""


@dataclass(frozen=True, slots=True)
class SlipPage:
    """The page of one fleet."""

    html: str
    content_security_policy: str
    """For the header; the page itself repeats what a page can say of it."""


def slip_page(fleet_id: str, signing_key: PublicJwk) -> SlipPage:
    """Return the page that checks slips of a fleet.

    Args:
        fleet_id: the fleet's name.
        signing_key: its public signing key.
    """
    script = (_HERE / "static" / "slip.js").read_text(encoding="utf-8")
    style = (_HERE / "static" / "slip.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; base-uri 'none'; form-action 'none'"
    texts = slip_texts()
    data = {
        "fleet": {"fleet_id": fleet_id, "signing_key": signing_key.model_dump()},
        "prefix": PREFIX,
        "alphabet": base45.ALPHABET,
        "longest": MAX_CHARACTERS,
        "statementType": STATEMENT_TYP,
        "slipType": SLIP_TYP,
        "outcomes": OUTCOMES,
        "steps": STEPS,
        "kinds": KINDS,
        "texts": texts,
    }
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    html = templates.get_template("slip.html").render(
        policy=policy,
        style=style,
        script=script,
        texts=texts,
        longest=MAX_CHARACTERS,
        # Nothing in the data may end the element that holds it.
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
    )
    return SlipPage(html, f"{policy}; frame-ancestors 'none'")


def slip_router(page: SlipPage) -> APIRouter:
    """Return the page's route."""
    router = APIRouter(include_in_schema=False)
    headers = {
        "Content-Security-Policy": page.content_security_policy,
        "Cache-Control": f"public, max-age={_CACHED_S}",
    }

    @router.get("/slip")
    def slip() -> HTMLResponse:
        """Return the page that checks slips."""
        return HTMLResponse(page.html, headers=headers)

    return router


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
