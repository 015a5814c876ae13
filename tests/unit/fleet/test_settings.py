from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.errors import SettingsInvalid
from fleet.settings import load_settings

LEAST = 'fleet_id = "north"\ndata_dir = "data"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_serve_this_machine_with_everything_embedded(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, LEAST))
    assert settings.data_dir == tmp_path / "data"
    assert settings.database.get_secret_value() == "embedded"
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert settings.broker.mode == "embedded"
    assert settings.zone().utcoffset(datetime(2026, 1, 1, tzinfo=UTC)) == timedelta(hours=8)
    assert settings.references.feature_command()[1:] == ("features", "-", "--json")
    assert settings.references.feature_command("cedar.toml")[1:] == ("features", "cedar.toml", "--json")


def test_all_problems_are_reported_together_and_name_file_and_key(tmp_path: Path) -> None:
    path = written(tmp_path, 'fleet_id = "North!"\ndata_dri = "x"\n[broker]\nprt = 1\nport = 0\n[wbe]\nport = 1\n')
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(path)
    problems = caught.value.problems
    assert all(problem.startswith(str(path)) for problem in problems)
    text = "\n".join(problems)
    assert "fleet_id" in text
    assert "data_dri: unknown key; did you mean data_dir?" in text
    assert "data_dir: Field required" in text
    assert "broker.prt: unknown key; did you mean port?" in text
    assert "broker.port" in text
    assert "wbe: unknown key; did you mean web?" in text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_the_console_refuses_to_leave_this_machine(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsInvalid, match="a reverse proxy with TLS"):
        load_settings(written(tmp_path, f'{LEAST}[web]\nhost = "{host}"\n'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[broker]\nhost = "0.0.0.0"\n', "no TLS"),
        ('[broker]\nmode = "external"\ncertificate_file = "c.pem"\n', "go together"),
        ('[broker]\nca_file = "ca.pem"\n', "no TLS"),
    ],
)
def test_a_broker_that_would_be_open_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        load_settings(written(tmp_path, LEAST + text))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('database = "sqlite:///x"', "database"),
        ('time_zone = "Mars/Olympus"', "time_zone"),
        ('time_zone = "+99:00"', "time_zone"),
    ],
)
def test_unusable_values_name_their_key(tmp_path: Path, line: str, key: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{key}: "):
        load_settings(written(tmp_path, f"{LEAST}{line}\n"))


def test_a_password_in_the_database_url_is_not_shown(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f'{LEAST}database = "postgresql://u:hidden@db/lifecert"\n'))
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("content", [b"not toml =", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fleet.toml").write_bytes(content)
    with pytest.raises(SettingsInvalid, match="not TOML"):
        load_settings(tmp_path / "fleet.toml")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="init --fleet-id"):
        load_settings(tmp_path / "none.toml")


def test_files_of_the_broker_start_at_the_settings_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f'{LEAST}[broker]\nmode = "external"\nca_file = "ca.pem"\n'))
    assert settings.broker.ca_file == tmp_path / "ca.pem"


def test_the_settings_page_is_current_and_every_key_is_explained() -> None:
    docs = Path(__file__).parents[3] / "docs"
    spec = importlib.util.spec_from_file_location("build_fleet_settings", docs / "build_fleet_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (docs / "settings-fleet.md").read_text(encoding="utf-8") == module.page(), "run docs/build_fleet_settings.py"
    assert module.undocumented() == []
