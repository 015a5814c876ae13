"""The examination of what is to run, with the shipped networks; that it passes as a program is shown in test_updates.py."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.adapters.outbox_sqlite import SCHEMA as OUTBOX
from device.adapters.policy_file import FilePolicyStore
from device.app.examining import NotFit, examine, people_folder
from device.cli import app
from device.database import Database, check_version
from device.errors import GoldenMismatch, NetworkRefused, StoreUnusable
from device.settings import Settings
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy
from protocol.registration import FleetIdentity
from protocol.rule_packs import RULE_PACKS_TYP, RulePackSet

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]

MODELS = Path(__file__).resolve().parents[2] / "models"
KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()


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


def signed_as_later(content: str, typ: str) -> bytes:
    """Return what the fleet signed of a version that these programs do not know."""
    later = json.loads(content)
    later["version"] += 1
    return sign(json.dumps(later).encode(), key=KEY, typ=typ)


def test_programs_that_cannot_use_the_policy_in_force_fail(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    policy = default_policy().to_bytes().decode()
    for token in (signed_as_later(policy, POLICY_TYP), b"damaged", sign(policy.encode(), key=OTHER, typ=POLICY_TYP)):
        settings.policy_path.write_bytes(token)
        with pytest.raises(NotFit, match=r"policy\.jws: these programs cannot use"):
            examine(settings)


def test_programs_that_cannot_use_the_rule_packs_in_force_fail(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    packs = RulePackSet(issued_at=datetime(2026, 11, 20, tzinfo=UTC), packs=())
    settings.rule_packs_path.write_bytes(signed_as_later(packs.to_bytes().decode(), RULE_PACKS_TYP))
    with pytest.raises(NotFit, match="rule packs"):
        examine(settings)


@pytest.mark.parametrize("what", ["references", "outbox", "attachments", "commands"])
def test_programs_that_do_not_know_the_form_of_a_database_fail_and_leave_it_alone(tmp_path: Path, what: str) -> None:
    settings = settings_of(tmp_path)
    path = getattr(settings, f"{what}_path")
    schema = import_module(f"device.adapters.{what}_sqlite").SCHEMA
    Database(path, replace(schema, version=schema.version + 1)).close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=f"schema version {schema.version + 1}, this program knows"):
        examine(settings)
    assert path.read_bytes() == before
    assert not [each for each in path.parent.iterdir() if each.name.startswith(f"{path.name}-")]


def test_databases_of_this_and_of_older_versions_are_known(tmp_path: Path) -> None:
    path, schema = tmp_path / "x.sqlite3", replace(OUTBOX, version=3, upgrades={1: (), 2: ()})
    check_version(path, schema)
    assert not path.exists()
    path.touch()
    check_version(path, schema)
    for version in (1, 2, 3):
        path.unlink()
        Database(path, replace(schema, version=version, upgrades={})).close()
        check_version(path, schema)
    with pytest.raises(StoreUnusable, match="another kind"):
        check_version(path, replace(schema, application_id=7))


def test_a_bundle_of_voices_has_voices(tmp_path: Path) -> None:
    (tmp_path / "voices" / "zh").mkdir(parents=True)
    with pytest.raises(NotFit, match="no voice pack"):
        examine(settings_of(tmp_path), voices=tmp_path / "voices")
