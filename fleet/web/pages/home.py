"""The first page: what the visitor may go to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from fleet.web.visits import Visit, needs

router = APIRouter(include_in_schema=False)


@router.get("/")
def show(visit: Annotated[Visit, needs(None)]) -> Response:
    """Show the menu as a page."""
    return visit.page("home.html")
