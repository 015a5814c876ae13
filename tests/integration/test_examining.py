"""The examination of what is to run, with the shipped networks; that it passes as a program is shown in test_updates.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.adapters.policy_file import FilePolicyStore
from device.app.examining import NotFit, examine, people_folder
from device.cli import app
from device.errors import GoldenMismatch, NetworkRefused
from device.settings import Settings
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy
from protocol.registration import FleetIdentity

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]

MODELS = Path(__file__).resolve().parents[2] / "models"
KEY = PrivateKey.generate()


def settings_of(folder: Path, models: Path = MODELS) -> Settings:
    identity = FleetIdentity(fleet_id="north", signing_key=KEY.public())
    (folder / "fleet.json").write_bytes(identity.to_bytes())
    return Settings.model_validate(
        {
            "terminal": {"fleet_id": "north", "terminal_id": "t-1", "data_dir": folder, "models_dir": models},
            "keys": {"fleet": folder / "fleet.json"},
        }
    )


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("*.py", "tools")))


def test_networks_that_take_whatever_is_shown_for_a_living_person_fail(tmp_path: Path) -> None:
    people = tmp_path / "people"
    people.mkdir()
    for suffix in ("mp4", "toml"):
        for name in ("live_om", "print_om"):
            shutil.copy(people_folder() / f"live_om.{suffix}", people / f"{name}.{suffix}")
    with pytest.raises(NotFit, match="a print is certified"):
        examine(settings_of(tmp_path), people=people)


def test_a_network_that_says_something_else_than_when_it_was_made_fails(tmp_path: Path, models: Path) -> None:
    shutil.copy(models / "eyelids.npz", models / "face_landmarks.npz")
    with pytest.raises(GoldenMismatch):
        examine(settings_of(tmp_path, models))


def test_a_network_that_is_not_there_fails_as_a_program(tmp_path: Path, models: Path) -> None:
    (models / "features_mobilefacenet.tflite").unlink()
    with pytest.raises(NetworkRefused):
        examine(settings_of(tmp_path, models))
    config = tmp_path / "terminal.toml"
    config.write_text('[terminal]\nfleet_id = "north"\nterminal_id = "t-1"\n[keys]\nsigning = "credential:signing"\n')
    result = CliRunner().invoke(app, ["update", "examine", "--config", str(config), "--networks", str(models)])
    assert result.exit_code == 1
    assert "features_mobilefacenet" in result.output
    assert "Traceback" not in result.output


def test_a_features_network_without_thresholds_in_the_policy_in_force_fails(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    others = {"another": next(iter(default_policy().comparison.values()))}
    policy = default_policy().model_copy(update={"comparison": others})
    store = FilePolicyStore(settings.policy_path, KEY.public())
    store.apply(sign(policy.to_bytes(), key=KEY, typ=POLICY_TYP))
    with pytest.raises(NotFit, match="no thresholds for features_mobilefacenet"):
        examine(settings)


def test_a_bundle_of_voices_has_voices(tmp_path: Path) -> None:
    (tmp_path / "voices" / "zh").mkdir(parents=True)
    with pytest.raises(NotFit, match="no voice pack"):
        examine(settings_of(tmp_path), voices=tmp_path / "voices")
