"""Acts and packs for the tests of rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.pack import RulePack
from protocol.shipped_packs import shipped_pack


@pytest.fixture(scope="session")
def act() -> Callable[..., Act]:
    """Make an act: `act("2019-06-15")`, live at a terminal unless said otherwise."""

    def make(day: str, kind: ActKind = ActKind.LIVE, channel: Channel = Channel.TERMINAL) -> Act:
        return Act(f"{day}-{kind}", date.fromisoformat(day), kind, channel)

    return make


@pytest.fixture(scope="session")
def varied() -> Callable[..., RulePack]:
    """Make a pack like a shipped one with other values: `varied("SX-2018", cycle={...})`."""

    def make(like: str, **changes: Any) -> RulePack:
        return RulePack.model_validate(shipped_pack(like).model_dump(mode="json", exclude_none=True) | changes)

    return make
