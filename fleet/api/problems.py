"""Errors of the open interface: one form for all of them, problem details after RFC 9457."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from fleet.errors import DatabaseUnavailable
from fleet.store.database import Availability

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
PREFIX = "/api/"
_LONGEST_NAME = 64
"""Characters of a name of the sender's own that are repeated to it."""


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    pointer: str = Field(examples=["#/person/document"])
    """Where: a JSON pointer into the body, or `query`, `path` or `header` and a name."""
    detail: str = Field(examples=["identity document: the check digit does not fit"])
    """What is wrong; never the value itself."""


class Problem(BaseModel):
    """Why a request was not carried out."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    type: str = "about:blank"
    """Always `about:blank`: `code` says which problem it is."""
    title: str = Field(examples=["Unprocessable Content"])
    """The phrase of the status."""
    status: int = Field(ge=400, le=599, examples=[422])
    """The HTTP status."""
    detail: str = Field(examples=["1 field is wrong"])
    """What to do about it, for a person."""
    code: str = Field(examples=["invalid_request"])
    """Which problem it is, for a program; never changes."""
    errors: list[FieldProblem] = Field(default_factory=list)
    """Everything that is wrong with the request, where that is the problem."""


class Refusal(HTTPException):
    """A request that is not carried out."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.errors = list(errors)

    def response(self) -> Response:
        """Return the answer."""
        return problem_response(
            self.status_code, self.code, self.detail, errors=self.errors, headers=dict(self.headers or {})
        )


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an answer that says what is wrong."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=list(errors))
    return Response(problem.model_dump_json(), status_code=status, headers=headers, media_type=PROBLEM_JSON)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of these answers."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in statuses
    }


def add_problems(app: FastAPI, database_state: Availability) -> None:
    """Have errors of the open interface answered as problems."""

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if isinstance(error, Refusal):
            return error.response()
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods(app, request))
        code = HTTPStatus(error.status_code).name.lower()
        return problem_response(error.status_code, code, str(error.detail), headers=headers)

    @app.exception_handler(DatabaseUnavailable)
    def unavailable(_request: Request, error: DatabaseUnavailable) -> Response:
        database_state.lost(error)
        return problem_response(503, "unavailable", "database unavailable", headers={"Retry-After": "5"})

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> Response:
        return invalid_request(
            [FieldProblem(pointer=_pointer(found["loc"]), detail=_said(found)) for found in error.errors()]
        ).response()


def invalid_request(errors: Sequence[FieldProblem]) -> Refusal:
    """Return the refusal of a request with things that are wrong, all of them at once."""
    many = "1 thing is wrong" if len(errors) == 1 else f"{len(errors)} things are wrong"
    return Refusal(422, "invalid_request", f"{many}; nothing was done", errors=errors)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Return what an address takes; the framework names the methods of the first route that has it, and leaves out the others."""
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


def _said(found: dict[str, Any]) -> str:
    if found["type"] == "extra_forbidden":
        return "unknown field"
    return _clean(str(found["msg"]).removeprefix("Value error, "), 300)


def _pointer(where: Sequence[int | str]) -> str:
    place, *rest = where
    if place == "body":
        parts = [_clean(str(part), _LONGEST_NAME).replace("~", "~0").replace("/", "~1") for part in rest]
        return "#" + "".join(f"/{part}" for part in parts)
    return " ".join([str(place), *(_clean(str(part), _LONGEST_NAME) for part in rest)])


def _clean(text: str, longest: int) -> str:
    """Return a text that can be sent: the sender may have put half of a surrogate pair into a name."""
    return text.encode("utf-8", "replace").decode()[:longest]
