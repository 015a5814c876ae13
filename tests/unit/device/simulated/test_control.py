"""Orders of the control socket to the board."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from device.ports import BoardChange, BoardNotice, Button
from device.simulated.actor import EmptyRoom
from device.simulated.camera import SimulatedCamera
from device.simulated.clock import SteppedClock
from device.simulated.control import ControlSocket
from device.simulated.panel import SimulatedPanel


@pytest.fixture
def panel() -> SimulatedPanel:
    return SimulatedPanel(stuck_s=0.01)


@pytest.fixture
def order(panel: SimulatedPanel, tmp_path: Path) -> Callable[..., dict[str, object]]:
    control = ControlSocket(
        tmp_path / "control.sock",
        camera=SimulatedCamera(EmptyRoom(20.0), SteppedClock(datetime(2026, 3, 1, tzinfo=UTC))),
        panel=panel,
        is_free=lambda: True,
        ask_status=dict,
    )
    return lambda **fields: control.answer(json.dumps(fields).encode())


def test_hands_press_hold_and_release_buttons(
    panel: SimulatedPanel, order: Callable[..., dict[str, object]], eventually: Callable[..., None]
) -> None:
    heard: list[Button] = []
    noticed: list[BoardNotice] = []
    assert order(do="press", button="start")["ok"] is False
    panel.start(heard.append, noticed.append)
    assert order(do="press", button="start") == {"ok": True}
    assert order(do="hold", button="cancel") == {"ok": True}
    assert order(do="hold", button="cancel") == {"ok": True}
    assert order(do="press", button="cancel") == {"ok": True}
    eventually(lambda: noticed)
    assert order(do="release", button="cancel") == {"ok": True}
    assert order(do="release", button="repeat") == {"ok": True}
    panel.stop()
    assert heard == [Button.START, Button.CANCEL]
    assert noticed == [
        BoardNotice(BoardChange.BUTTON_STUCK, Button.CANCEL),
        BoardNotice(BoardChange.BUTTON_FREE, Button.CANCEL),
    ]


def test_people_come_and_go_and_so_does_power(panel: SimulatedPanel, order: Callable[..., dict[str, object]]) -> None:
    noticed: list[BoardNotice] = []
    panel.start(lambda _: None, noticed.append)
    for verb in ("step_in_front", "step_in_front", "cut_power", "cut_power", "restore_power", "loosen_sensor", "leave"):
        assert order(do="board", verb=verb) == {"ok": True}
    assert [notice.change for notice in noticed] == [
        BoardChange.PRESENT,
        BoardChange.POWER_FAILING,
        BoardChange.POWER_BACK,
        BoardChange.SENSOR_FLAPPING,
        BoardChange.ABSENT,
    ]
    assert order(do="board", verb="explode")["ok"] is False
    panel.stop()


def test_who_is_there_and_what_is_gone_before_the_start_is_noticed_at_it(
    panel: SimulatedPanel, order: Callable[..., dict[str, object]]
) -> None:
    order(do="board", verb="step_in_front")
    order(do="board", verb="cut_power")
    noticed: list[BoardNotice] = []
    panel.start(lambda _: None, noticed.append)
    assert [notice.change for notice in noticed] == [BoardChange.PRESENT, BoardChange.POWER_FAILING]
    panel.stop()
