"""`lifecert-fleet name-list`: whether a terminal's roster says names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fleet.audit.log import UNNAMED
from fleet.commands.shared import CONFIG, By, Config, noted, opened, say
from fleet.errors import NotFound
from fleet.store import rosters, terminals


class Choice(StrEnum):
    """What can be chosen."""

    ON = "on"
    OFF = "off"
    BY_AREA = "by-area"


_STORED = {Choice.ON: True, Choice.OFF: False, Choice.BY_AREA: None}


def name_list(
    terminal: Annotated[str, typer.Argument(help="Which terminal.")],
    choice: Annotated[Choice, typer.Argument(help="by-area, as it is without a word: where it is assigned an area.")],
    by: By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Say whether operators of a terminal can look people up by name: then names and years of birth are in its sealed roster."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            if terminal not in terminals.find_terminals(connection, [terminal], lock=True):
                raise NotFound(f"terminal {terminal}: not registered")
            with rosters.renewing(connection, terminal):
                rosters.set_names(connection, terminal, _STORED[choice])
            is_on = rosters.has_names(connection, terminal)
            noted(fleet, connection, by, "terminal.name_list_set", "terminal", terminal, choice=choice.value)
        say(f"terminal {terminal}: its roster says {'names' if is_on else 'no names'}")
