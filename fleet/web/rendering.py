"""Makes pages of templates and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from fleet.tables.words import language_of
from fleet.web import logged, palette
from fleet.web.assets import Assets
from fleet.web.columns import in_columns
from fleet.web.labels import category_word, feed_word, network_word, scheme_word
from fleet.web.texts import LANGUAGES, Texts
from protocol.rules.days import FOREVER

_HERE = Path(__file__).parent
NOTHING = "–"
"""Stands where there is no day, moment or number."""


class Renderer:
    """Templates, with what all of them may use.

    A template has `texts` (all of the language), `t` (those of its own group, which is the folder that it is in, or its name), and what
    the page gives it. Filters: `day`, `month`, `moment`, `number`, `percent`, `tongue` (the language of a word), `in_columns`, `scheme`,
    `category`, `feed`, `network`, and of the audit log `done_to`, `kind_of`, `which`; `named(codes, words)` makes the options of a
    choice; `kind_of(table, code)` is the kind of a badge (`palette.toml`).
    """

    def __init__(self, texts: Mapping[str, Texts], assets: Assets, *, fleet_id: str, zone: tzinfo) -> None:
        self._texts = texts
        self._zone = zone
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            asset=assets.url,
            languages=LANGUAGES,
            symbols={name: kind.symbol for name, kind in palette.kinds().items()},
            fleet_id=fleet_id,
            named=_named,
            kind_of=palette.kind_of,
        )
        self._environment.filters.update(
            tongue=language_of, in_columns=in_columns, scheme=_scheme, category=_category, feed=_feed, network=_network
        )
        self._environment.filters.update(done_to=_done_to, kind_of=_kind_of, which=_which)
        self._environment.filters.update(day=_day, month=_month, moment=self.moment, number=_number, percent=_percent)

    def texts(self, language: str) -> Texts:
        """Return the texts of a language that is offered."""
        return self._texts[language]

    def render(self, template: str, language: str, contents: Mapping[str, Any]) -> str:
        """Return a page, or a part of one."""
        texts = self._texts[language]
        group = template.partition("/")[0].removesuffix(".html")
        own = texts[group] if group in texts else None  # noqa: SIM401 - no mapping
        return self._environment.get_template(template).render(
            {"texts": texts, "t": own, "visitor": None, "group": group, **contents}
        )

    def page(
        self,
        template: str,
        language: str,
        *,
        contents: Mapping[str, Any],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """Return the answer with a page."""
        text = self.render(template, language, contents)
        return HTMLResponse(text, status_code=status, headers={"Content-Language": language, **(headers or {})})

    def moment(self, found: datetime | None) -> str:
        """Return a moment where the agency is, to the minute."""
        return NOTHING if found is None else found.astimezone(self._zone).strftime("%Y-%m-%d %H:%M")


def _day(found: date | None) -> str:
    return NOTHING if found is None or found == FOREVER else found.isoformat()


def _month(found: date | None) -> str:
    return NOTHING if found is None else f"{found:%Y-%m}"


def _named(codes: Iterable[str], words: Texts) -> list[tuple[str, str]]:
    """Return the options of a choice among codes, each with its word."""
    return [(str(code), str(words[code])) for code in codes]


def _number(found: float | None) -> str:
    if found is None:
        return NOTHING
    return f"{found:,}" if isinstance(found, int) else f"{found:,.1f}"


def _percent(found: float | None) -> str:
    return NOTHING if found is None else f"{100 * found:.1f} %"


@pass_context
def _scheme(context: Context, found: str) -> str:
    return scheme_word(found, context["texts"])


@pass_context
def _category(context: Context, found: str) -> str:
    return category_word(found, context["texts"])


@pass_context
def _feed(context: Context, found: str) -> str:
    return feed_word(found, context["texts"])


@pass_context
def _network(context: Context, found: str) -> str:
    return network_word(found, context["texts"].language)


@pass_context
def _done_to(context: Context, action: str) -> str:
    return logged.what(context["texts"], action)


@pass_context
def _kind_of(context: Context, object_kind: str) -> str:
    return logged.kind(context["texts"], object_kind)


@pass_context
def _which(context: Context, object_id: str) -> str:
    return logged.which(context["texts"], object_id) or object_id
