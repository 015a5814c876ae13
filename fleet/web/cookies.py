"""The cookie of a session: its name, and how it is set and taken away."""

from __future__ import annotations

from fastapi import Request, Response

from fleet.accounts.rules import AccountRules

SESSION_COOKIE = "lifecert-session"
_HOST = "__Host-"
"""Browsers take a cookie of such a name from this host alone, by TLS, for every path. Source: RFC 6265bis, 4.1.3.2."""


def session_name(rules: AccountRules) -> str:
    """Return what the cookie is called."""
    return f"{_HOST}{SESSION_COOKIE}" if rules.is_secure else SESSION_COOKIE


def session_of(request: Request, rules: AccountRules) -> str:
    """Return the value of a request's cookie; empty if there is none."""
    return request.cookies.get(session_name(rules), "")


def set_session(response: Response, rules: AccountRules, value: str) -> None:
    """Have a browser keep a session until it is closed; when the session is over the server says."""
    response.set_cookie(session_name(rules), value, path="/", secure=rules.is_secure, httponly=True, samesite="lax")


def drop_session(response: Response, rules: AccountRules) -> None:
    """Have a browser forget its session."""
    response.delete_cookie(session_name(rules), path="/", secure=rules.is_secure, httponly=True, samesite="lax")
