"""What people and sheets do, and its truth."""

from __future__ import annotations

import pytest

from demo.render.motion import Acts, held_acts, live_acts


@pytest.mark.parametrize("acts", [live_acts(3), held_acts(3)])
def test_every_act_goes_from_rest_to_rest(acts: Acts) -> None:
    for name, indices in acts.segments.items():
        assert max(indices) < len(acts.poses)
        if name != "idle":
            assert indices[0] == indices[-1] == 0


def test_turns_reach_what_the_terminal_asks_for() -> None:
    acts = live_acts(5)
    assert max(acts.poses[index].yaw_deg for index in acts.segments["turn_left"]) > 24
    assert min(acts.poses[index].yaw_deg for index in acts.segments["turn_right"]) < -24
    assert max(acts.poses[index].pitch_deg for index in acts.segments["look_up"]) > 20
    assert max(acts.poses[index].lids for index in acts.segments["blink"]) == 1
    assert max(acts.poses[index].jaw for index in acts.segments["open_mouth"]) == pytest.approx(1)


def test_a_sheet_can_neither_blink_nor_open_its_mouth() -> None:
    assert set(held_acts(1).segments) == {"idle", "turn_left", "turn_right", "look_up"}


def test_people_move_differently_and_the_same_person_alike() -> None:
    assert live_acts(1) == live_acts(1)
    assert live_acts(1) != live_acts(2)
