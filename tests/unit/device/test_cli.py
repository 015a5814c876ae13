"""The terminal's command line: what needs no network and no network file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.clock_system import SystemClock
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.references_sqlite import SqliteReferenceStore
from device.cli import app
from device.settings import load_settings
from protocol.envelope import verify
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.keys import PrivateKey
from protocol.presence import PictureCounts
from protocol.receipts import ReceiptItem, Verdict


def call(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_version_and_help_answer():
    assert call("--version").stdout.startswith("lifecert-terminal ")
    help_text = call("--help").stdout
    for command in ("run", "uplink", "certify", "features", "selftest", "outbox"):
        assert command in help_text


@pytest.mark.parametrize("command", ["run", "uplink", "selftest", "check-settings"])
def test_bad_settings_end_with_78_and_every_problem(tmp_path, command):
    path = tmp_path / "terminal.toml"
    path.write_text("[terminal]\nfleet_id = 'North!'\nlanguage = 'zh'\n")
    result = call(command, "--config", str(path))
    assert result.exit_code == 78
    for key in ("terminal.fleet_id", "terminal.terminal_id", "terminal.language"):
        assert key in result.stderr
    assert call(command, "--config", str(tmp_path / "none.toml")).exit_code == 78


def test_settings_are_checked_where_their_credentials_are_not(tmp_path):
    path = tmp_path / "terminal.toml"
    path.write_text("[terminal]\nfleet_id = 'north'\nterminal_id = 't-1'\n[keys]\nsigning = 'credential:signing'\n")
    assert (call("check-settings", "--config", str(path)).exit_code, call("run", "--config", str(path)).exit_code) == (
        0,
        78,
    )


def test_a_missing_default_settings_file_is_told_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr("device.cli._DEFAULT_CONFIG", tmp_path / "terminal.toml")
    result = call("outbox", "list", "--config", str(tmp_path / "terminal.toml"))
    assert (result.exit_code, "No such file or directory; name another with --config" in result.stderr) == (78, True)
    result = call("verify-slip", "X", "--config", str(tmp_path / "terminal.toml"))
    assert (result.exit_code, "name another with --config, or --fleet FILE" in result.stderr) == (78, True)


def test_wrong_usage_ends_with_2():
    assert call("certify").exit_code == 2
    assert call("features", "/nowhere/picture.png").exit_code == 2


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "terminal.toml"
    path.write_text(
        f"[terminal]\nfleet_id = 'north'\nterminal_id = 't-1'\ndata_dir = '{tmp_path / 'data'}'\n"
        "[broker]\nhost = 'localhost'\n[camera]\nkind = 'simulated'\n[panel]\nkind = 'simulated'\n"
    )
    return path


def test_refused_records_are_listed_with_reasons_and_sent_again(config):
    path = load_settings(config).outbox_path
    outbox = SqliteOutbox(path, max_rows=9, max_bytes=1 << 24)
    first, _ = (outbox.append(lambda counter, _: b"%d" % counter) for _ in range(2))
    outbox.settle([ReceiptItem(sha256=first.sha256, verdict=Verdict.REFUSED, reason="fork")])
    outbox.close()
    # As on a terminal: whoever looks by hand has no credentials.
    config.write_text(f"{config.read_text()}[keys]\nsigning = 'credential:signing'\nstorage = 'credential:storage'\n")
    told = call("outbox", "list", "--config", str(config)).stdout
    assert f"{first.sha256} counter 1: fork" in told
    found = json.loads(call("outbox", "list", "--json", "--config", str(config)).stdout)
    assert found["counts"] == {"pending": 1, "published": 0, "acknowledged": 0, "refused": 1, "stored": 2}
    assert told.startswith("stored 2, confirmed 0")
    assert found["refused"] == [{"sha256": first.sha256, "counter": 1, "reason": "fork"}]
    assert call("outbox", "retry", "--config", str(config)).stdout.startswith("1 records will be sent again\n")
    found = json.loads(call("outbox", "list", "--json", "--config", str(config)).stdout)
    assert (found["counts"]["pending"], found["refused"]) == (2, [])


def test_refused_pictures_are_listed_with_what_to_do_and_sent_again(config):
    settings = load_settings(config)
    SqliteOutbox(settings.outbox_path, max_rows=9, max_bytes=1 << 24).close()
    told = call("outbox", "list", "--config", str(config)).stdout
    assert "pictures of cases: 0 wait for the fleet, 0 refused\n" in told
    assert not settings.attachments_path.exists()
    store = SqliteAttachmentStore(settings.attachments_path, max_bytes=1 << 24)
    refused, _ = store.put([b"one", b"two"])
    store.settle([ReceiptItem(sha256=refused, verdict=Verdict.REFUSED, reason="too_large")])
    told = call("outbox", "list", "--config", str(config)).stdout
    assert "pictures of cases: 1 wait for the fleet, 1 refused; `lifecert-terminal outbox list`" in told
    assert "`lifecert-terminal outbox retry` sends all of them again" in told
    assert f"{refused} picture: too_large" in told
    found = json.loads(call("outbox", "list", "--json", "--config", str(config)).stdout)
    assert found["pictures"] == {"waiting": 1, "refused": 1}
    assert found["refused_pictures"] == [{"sha256": refused, "reason": "too_large"}]
    assert "1 pictures will be sent again" in call("outbox", "retry", "--config", str(config)).stdout
    assert store.counts() == PictureCounts(waiting=2, refused=0)
    store.close()


@pytest.mark.parametrize("command", ["list", "retry"])
def test_looking_into_an_outbox_makes_none(config, command):
    result = call("outbox", command, "--config", str(config))
    assert result.exit_code == 1
    assert "there is none yet" in result.stderr
    assert not (config.parent / "data").exists()


def test_erasing_references_asks_says_what_was_looked_for_and_leaves_nothing(config):
    settings = load_settings(config)
    config.write_text(config.read_text() + f"[keys]\nstorage = '{config.parent / 'storage.key'}'\n")
    SqliteReferenceStore(
        settings.references_path, config.parent / "storage.key", SystemClock(settings.clock_path)
    ).close()
    call_erase = ("references", "erase", "--config", str(config))
    assert call(*call_erase).exit_code == 2
    assert CliRunner().invoke(app, [*call_erase, "--all"], input="n\n").exit_code == 1
    assert settings.references_path.exists()
    found = json.loads(call(*call_erase, "--all", "--yes", "--json").stdout)
    assert (found["subjects"], found["is_key_destroyed"], found["proof"]["found"]) == (0, True, 0)
    assert len(found["proof"]["digest"]) == 64
    assert not settings.references_path.exists()
    assert not (config.parent / "storage.key").exists()
    told = call(*call_erase, "--all", "--yes")
    assert (told.exit_code, "storage key  destroyed" in told.stdout) == (0, True)


def test_an_erasure_is_a_link_of_the_chain_of_a_terminal_that_has_one(config):
    folder = config.parent
    key = PrivateKey.generate()
    key.save(folder / "signing.pem")
    with config.open("a") as file:
        file.write(f"[keys]\nstorage = '{folder / 'storage.key'}'\nsigning = '{folder / 'signing.pem'}'\n")
    settings = load_settings(config)
    outbox = SqliteOutbox(settings.outbox_path, max_rows=9, max_bytes=9999)
    try:
        result = call("references", "erase", "--all", "--yes", "--json", "--config", str(config))
        assert (result.exit_code, json.loads(result.stdout)["is_noted"]) == (0, True)
        (row,) = outbox.unconfirmed(9)
    finally:
        outbox.close()
    event = TerminalEvent.parse(verify(row.envelope, key_of=lambda _: key.public(), typ=EVENT_TYP).payload)
    assert event.kind is EventKind.REFERENCES_ERASED
    assert event.detail == {"subjects": "0", "references": "0", "key": "destroyed"}
    (folder / "signing.pem").unlink()
    result = call("references", "erase", "--all", "--yes", "--config", str(config))
    assert (result.exit_code, "the fleet is not told" in result.stderr) == (0, True)


def test_starting_up_loads_nothing_heavy():
    code = "import sys, device.cli; print([m for m in ('cv2', 'numpy', 'paho', 'ai_edge_litert') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_service_that_starts_loads_nothing_that_only_a_stick_a_printer_or_a_simulation_needs():
    late = ("device.courier.courier", "device.simulated", "segno", "escpos", "gpiozero", "picamera2")
    code = f"import sys, device.app.service; print([m for m in {late} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_part_of_a_service_reads_its_own_source_when_it_starts():
    # pydantic does for `use_attribute_docstrings`; all models of the settings together took a tenth of the imports' time.
    code = """
import device.app.service, device.uplink.service
from pydantic import BaseModel
models = [BaseModel]
while models:
    model = models.pop()
    models += model.__subclasses__()
    if model.model_config.get("use_attribute_docstrings"):
        print(model.__module__, model.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
