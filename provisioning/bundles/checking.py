"""Is a folder what a bundle of its kind is made of? Asked before anything is signed: a signature says that somebody has looked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final, get_args

from protocol.bundle import BundleKind
from protocol.errors import ManifestInvalid
from protocol.manifest import Task, load_manifest, verified_network_path
from provisioning.errors import FileUnusable
from provisioning.selftest import installed_program
from provisioning.wheels import check_wheelhouse

_GOLDEN: Final = ".npz"
_ONE_EACH: Final = ("face_detection", "face_landmarks", "eyelids")
"""Tasks of which a terminal takes exactly one network; of features there may be several, of texture none."""
_TIMEOUT_S: Final = 300.0


def files_of(kind: BundleKind, folder: Path, *, machine: str, python: str | None, program: Path | None) -> list[Path]:
    """Return the files of a folder that go into a bundle, checked.

    Args:
        kind: of the bundle.
        folder: with what is to run.
        machine: for which board.
        python: for which Python; needed for programs.
        program: the terminal program, which checks voices; by default the one that is installed.

    Raises:
        FileUnusable: if it is not what it should be; says what.
        SelftestFailed: if voices are to be checked and the terminal program is not there.
    """
    if not folder.is_dir():
        raise FileUnusable(f"{folder}: no such folder")
    links = sorted(each for each in folder.rglob("*") if each.is_symlink())
    if links:
        raise FileUnusable(f"{links[0].relative_to(folder)}: a link; a bundle has files only")
    if kind is BundleKind.APP:
        if machine == "any" or python is None:
            raise FileUnusable("programs: say for which --machine and which --python")
        return check_wheelhouse(folder, machine=machine, python=python)
    return check_networks(folder) if kind is BundleKind.NETWORKS else check_voices(folder, program=program)


def check_networks(folder: Path) -> list[Path]:
    """Return manifests, networks and golden vectors of a folder, as a terminal takes them from there.

    Raises:
        FileUnusable: if a manifest or its network is not in order, a task is missing or doubled, or something else lies there.
    """
    manifests = sorted(folder.glob("*.toml"))
    tasks: list[str] = []
    found: set[Path] = set()
    for path in manifests:
        try:
            manifest = load_manifest(path)
            network = verified_network_path(path, manifest)
        except ManifestInvalid as error:
            raise FileUnusable(str(error)) from error
        tasks.append(manifest.task)
        golden = path.with_suffix(_GOLDEN)
        found |= {path, network, *([golden] if golden.exists() else [])}
    for task in get_args(Task):
        count = tasks.count(task)
        if (task in _ONE_EACH and count != 1) or (task == "features" and not count):
            raise FileUnusable(
                f"{folder}: {count} networks for {task}, {'one' if task in _ONE_EACH else 'one at least'} expected"
            )
    others = sorted(each for each in folder.rglob("*") if each.is_file() and each not in found)
    if others:
        raise FileUnusable(f"{others[0].relative_to(folder)}: no manifest names it")
    return sorted(found)


def check_voices(folder: Path, *, program: Path | None) -> list[Path]:
    """Return the files of the voice packs of a folder, one folder each, checked by the terminal's own program.

    Raises:
        FileUnusable: if there is no pack, one is not in order, or something else lies there.
        SelftestFailed: if the terminal program is not there.
    """
    packs = sorted(each for each in folder.iterdir() if each.is_dir())
    others = sorted(each for each in folder.iterdir() if not each.is_dir())
    if others:
        raise FileUnusable(f"{others[0].name}: not a folder of a voice pack")
    if not packs:
        raise FileUnusable(f"{folder}: no folder of a voice pack in it")
    command = program or installed_program()
    for pack in packs:
        problems = _problems_of(command, pack)
        if problems:
            raise FileUnusable(
                f"{pack.name}: {problems[0]}" + (f" (and {len(problems) - 1} more)" if problems[1:] else "")
            )
    return sorted(each for each in folder.rglob("*") if each.is_file())


def _problems_of(command: Path, pack: Path) -> list[str]:
    """Ask the terminal program. A pack that replaces some lines only is one: the shipped one has the others."""
    asked = [str(command), "voice", "check", str(pack), "--partial", "--json"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FileUnusable(f"{command.name}: cannot be asked about {pack.name}: {error}") from error
    try:
        found = json.loads(done.stdout)
        return [] if found["passed"] else [str(each) for each in found["problems"]] or ["not in order"]
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.strip().splitlines()
        return [lines[-1] if lines else f"no answer (exit code {done.returncode})"]
