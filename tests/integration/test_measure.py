"""What a session costs: the counts are right; how long things take is no test's business."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from device.cli import app
from device.simulated.clips import Clip
from protocol.documents import check_digit

pytestmark = pytest.mark.integration
PEOPLE = Path(__file__).resolve().parents[2] / "demo" / "people"
NUMBER = "99999919400101001" + check_digit("99999919400101001")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = next(Clip(PEOPLE / "live_om.mp4").pictures())
    path = tmp_path / "om.png"
    assert cv2.imwrite(str(path), pixels[:, :, ::-1])
    return path


def measure(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["measure", "--json", *arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_start_comes_to_a_score(picture: Path) -> None:
    cost = measure("--frames", str(picture.parent))
    assert cost["processor_s"] > 0
    assert cost["wall_s"] > 0
    assert cost["resident_mb"] > 20


def test_session_is_counted_network_by_network() -> None:
    person = str(PEOPLE / "cedar.toml")
    cost = measure("--frames", person, "--subject", NUMBER, "--reference", person)
    assert cost["outcome"] == "certified"
    assert cost["processor_s"] > cost["invoke_s"] > 0
    networks = {network["name"]: network for network in cost["networks"]}
    assert networks["landmarks"]["runs"] >= cost["frames"]
    assert networks["eyelids"]["runs"] <= 2 * networks["landmarks"]["runs"]
    assert 0 < networks["detection"]["runs"] < cost["frames"] / 2
    assert 0 < networks["features"]["runs"] < cost["frames"]
    counted = sum(network["runs"] * network["invoke_ms"] for network in networks.values()) / 1000
    assert counted == pytest.approx(cost["invoke_s"], rel=0.01)


def test_picture_without_a_face_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["measure", "--frames", str(tmp_path)])
    assert result.exit_code == 2
