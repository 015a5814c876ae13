from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from device.errors import SettingsInvalid
from device.settings import SecretFile, Settings, load_settings

ROOT = Path(__file__).resolve().parents[3]
MINIMAL = '[terminal]\nfleet_id = "north"\nterminal_id = "t-1"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "terminal.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(write(folder, text))
    return caught.value.problems


def test_only_the_names_must_be_given(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    assert settings.terminal.fleet_id == "north"
    assert settings.broker.host == "localhost"
    assert settings.outbox_path == Path("/var/lib/lifecert/outbox.sqlite")


def test_relative_paths_count_from_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL + 'data_dir = "data"\n[keys]\nsigning = "keys/a.pem"\n'))
    assert settings.terminal.data_dir == tmp_path / "data"
    assert settings.keys.signing.path == tmp_path / "keys" / "a.pem"


def test_all_problems_are_reported_together_with_file_and_key(tmp_path: Path) -> None:
    found = problems(tmp_path, '[terminal]\nterminal_id = "T 1"\n[broker]\nport = 0\nhots = "x"\n[uplnk]\nwindow = 1\n')
    path = str(tmp_path / "terminal.toml")
    assert all(problem.startswith(path + ": ") for problem in found)
    text = "\n".join(found)
    assert "terminal.fleet_id: missing" in text
    assert "terminal.terminal_id: " in text
    assert "broker.port: " in text
    assert "broker.hots: unknown key, did you mean broker.host?" in text
    assert "uplnk: unknown key, did you mean uplink?" in text


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("[broker]\ntls_ca = 'ca.pem'\ntls_key = 'k.pem'\n", "tls_certificate and tls_key belong together"),
        ("[broker]\ntls_certificate = 'c.pem'\ntls_key = 'k.pem'\n", "needs TLS"),
        ("[slip]\npage_url = 'http://agency.example/slip'\n", "slip.page_url"),
        ("[slip]\npage_url = 'https://agency.example/#x'\n", "an address without # expected"),
        ("[printer]\nbaud = 1200\n", "printer.baud"),
        ("[board]\nstart_pin = 12\n", "two functions on one pin: GPIO 12 is start_pin and red_pin"),
        ("[camera]\nsize = [641, 480]\n", "size is 641x480: two even numbers"),
        ("[camera]\nstill_size = [8000, 480]\n", "still_size is 8000x480: two even numbers from 320x240"),
        ("[camera]\nsize = [1920, 1080]\n", "is larger than still_size"),
        ("[board]\nring_left_pin = 26\n", "two functions on one pin: GPIO 26 is ring_left_pin and ring_right_pin"),
        ("[board]\nring_left_pin = 12\n", "terminal.toml: board: two functions on one pin: GPIO 12 is red_pin and"),
        ("[board]\nstart_pin = 3\n", "GPIO 3 is start_pin and functions: i2c"),
        (
            "[board]\nred_pin = 14\nblue_pin = 18\n",
            "red_pin and functions: uart; GPIO 18 is blue_pin and functions: i2s",
        ),
        ("[board]\nother_pins = [17]\n", "GPIO 17 is start_pin and other_pins"),
        ("[board]\nstart_pin = 1\n", "board.start_pin: input should be greater than or equal to 2"),
        ("[panel]\nstart_pin = 5\n", "panel.start_pin: unknown key, did you mean board.start_pin?"),
        ("[ring_light]\nleft_pin = 5\n", "ring_light.left_pin: unknown key, did you mean board.ring_left_pin?"),
        ("[ring_light]\nkind = 'simulated'\n", "a simulated light needs a simulated camera"),
        ("[keys]\nsigning = 'credential:signing'\n", "names a systemd credential"),
        ("[keys]\nsigning = 3\n", "a path or credential:NAME expected"),
    ],
)
def test_what_cannot_be_together_is_refused(
    tmp_path: Path, extra: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert expected in "\n".join(problems(tmp_path, MINIMAL + extra))


def test_a_pin_is_free_once_its_function_is_not_used(tmp_path: Path) -> None:
    text = MINIMAL + "[board]\nfunctions = ['i2c']\nblue_pin = 19\nring_left_pin = 18\n"
    assert load_settings(write(tmp_path, text)).board.pins()["blue_pin"] == 19


def test_a_missing_file_and_a_file_that_is_not_toml_are_settings_errors(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")
    assert "not TOML" in problems(tmp_path, "[terminal\n")[0]
    (tmp_path / "terminal.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsInvalid, match="not TOML"):
        load_settings(tmp_path / "terminal.toml")


def test_a_credential_is_found_in_the_folder_systemd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "creds"))
    settings = load_settings(write(tmp_path, MINIMAL + '[keys]\nsigning = "credential:signing"\n'))
    assert settings.keys.signing.path == tmp_path / "creds" / "signing"


def test_the_repr_of_settings_shows_no_secret_path(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL + '[keys]\nsigning = "hidden-name.pem"\n'))
    assert "hidden-name" not in repr(settings)
    assert "hidden-name" not in settings.model_dump_json()
    assert "hidden-name" not in str(SecretFile(Path("hidden-name")))


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        settings.broker.port = 1  # type: ignore[misc]  # what is being tested


def test_settings_invalid_belongs_to_exit_code_78() -> None:
    assert SettingsInvalid.EXIT_CODE == os.EX_CONFIG


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_settings", ROOT / "docs" / "build_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_current() -> None:
    module = builder()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == module.page(), "run docs/build_settings.py"
    assert module.undocumented() == []
    assert set(Settings.model_fields) == {name for name, _ in module.sections()}
