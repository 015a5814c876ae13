"""Each vendor library has one door. The import contracts see imports; this sees names, because some doors import dynamically."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("demo", "device", "fleet", "models", "protocol", "provisioning")
DOORS = {
    "picamera2": {"device/adapters/camera_picamera2.py"},
    "libcamera": {"device/adapters/camera_picamera2.py"},
    "gpiozero": {"device/adapters/panel_gpiozero.py", "device/adapters/ring_light_gpiozero.py"},
    "lgpio": {"device/adapters/panel_gpiozero.py"},
    "tflite_runtime": {"device/adapters/inference_tflite.py"},
    # Build steps use its flatbuffer schema, see `.importlinter`.
    "ai_edge_litert": {
        "device/adapters/inference_tflite.py",
        "models/tools/flatbuffer.py",
        "models/tools/graph_builder.py",
        "models/tools/manifests.py",
        "models/tools/quantize.py",
    },
    "escpos": {"device/adapters/printer_escpos.py"},
    "segno": {
        "device/slip_picture.py",
        "fleet/references/card_picture.py",
        "fleet/web/codes.py",
        "provisioning/cards/labels.py",
    },
    "soundfile": {"device/adapters/voice_alsa/sound.py"},
    "paho": {"device/uplink/mqtt.py", "fleet/ingest/consumer.py", "fleet/ingest/expelling.py"},
}
"""Top-level module of the library -> files that may import it."""


def module_names(source: str) -> Iterator[str]:
    """Yield what is imported, and what is handed as a text to anything whose name speaks of importing."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and any(
            word in ast.unparse(node.func) for word in ("import", "find_spec", "run_module")
        ):
            yield from (
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {
        path.relative_to(ROOT).as_posix(): {
            name.partition(".")[0] for name in module_names(path.read_text(encoding="utf-8"))
        }
        for path in files
    }


@pytest.mark.parametrize("library", DOORS)
def test_a_vendor_library_is_imported_behind_its_door_only(library: str, imported: dict[str, set[str]]) -> None:
    assert {path for path, names in imported.items() if library in names} <= DOORS[library]


@pytest.mark.parametrize(
    "source",
    [
        "import gpiozero.pins",
        "from gpiozero import LED",
        "importlib.import_module('gpiozero')",
        "__import__('gpiozero')",
    ],
)
def test_every_way_to_import_is_seen(source: str) -> None:
    assert [name.partition(".")[0] for name in module_names(source)] == ["gpiozero"]


def test_the_import_contracts_leave_no_module_of_the_device_and_the_fleet_out() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter", encoding="utf-8")
    for name in ("interpreter", "mqtt", "camera", "board", "sound"):
        sources = contracts[f"importlinter:contract:one-door-{name}"]["source_modules"].split()
        forbidden = contracts[f"importlinter:contract:one-door-{name}"]["forbidden_modules"].split()
        doors = {path for library in forbidden for path in DOORS[library]}
        files = {path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"}
        names = {path.relative_to(ROOT).with_suffix("").as_posix() for path in files}
        left_out = {
            module
            for module in names - {door.removesuffix(".py") for door in doors}
            if not any(f"{module}/".startswith(f"{source.replace('.', '/')}/") for source in sources)
        }
        assert not left_out, name
