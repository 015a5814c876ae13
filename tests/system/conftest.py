"""What several tests of whole programs need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("device", "fleet", "protocol", "provisioning", "models", "demo")
BESIDE = ("systemd", "requirements")


@pytest.fixture(scope="session")
def project_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is made from: a build leaves its traces beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    for package in (*PACKAGES, *BESIDE):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return source


@pytest.fixture(scope="session")
def project_wheel(project_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as it is installed."""
    out = tmp_path_factory.mktemp("wheel")
    shutil.copytree(project_source, out / "source")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            out,
            out / "source",
        ],
        check=True,
    )
    (wheel,) = out.glob("*.whl")
    return wheel
