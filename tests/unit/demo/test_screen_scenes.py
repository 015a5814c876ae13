"""The pictures of the terminal's screen in the documents are of the pages that the documents say."""

from __future__ import annotations

import pytest

from demo.screen_scenes import SCENES, desk_of
from device.desk.state import view_of
from device.desk.view import Screen
from protocol.commissioning import Part, Question


@pytest.mark.parametrize("language", ["zh", "en"])
def test_each_scene_is_the_page_that_it_is_called(language: str) -> None:
    views = {scene: view_of(desk_of(scene, language)) for scene in SCENES}  # type: ignore[arg-type]
    assert {view.language for view in views.values()} == {language}
    assert views["start"].screen is Screen.IDLE
    assert views["status"].screen is Screen.STATUS
    checks = {scene: view.commissioning for scene, view in views.items() if scene.startswith("check-")}
    assert {scene: None if check is None else check.state for scene, check in checks.items()} == {
        "check-begin": "ready",
        "check-target": "running",
        "check-found": "done",
        "check-passed": "done",
    }
    target, found, passed = checks["check-target"], checks["check-found"], checks["check-passed"]
    assert target is not None
    assert found is not None
    assert passed is not None
    assert target.question is Question.TARGET
    assert [row.part for row in found.rows if row.is_open] == [Part.SEAT]
    assert passed.has_passed
    assert len(passed.rows) == len(Part)
