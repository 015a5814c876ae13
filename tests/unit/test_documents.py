"""What the documents promise can be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from fleet.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ROW = re.compile(r"^\| (\d+) \| .+ \| \w+ \| (works|partly|not yet) \| (.*) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"lifecert-fleet ([^`\n#|]*)")
PATH = re.compile(r"`((?:tests|docs|device|fleet|protocol|models|demo|provisioning|systemd)/[\w./*-]+)")


def test_every_feature_has_a_state_and_what_works_has_a_proof() -> None:
    rows = ROW.findall((ROOT / "docs" / "features.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _, _ in rows] == list(range(1, 131))
    assert [number for number, state, proof in rows if state != "not yet" and not proof.strip()] == []


def test_the_first_page_counts_features_as_their_table_does() -> None:
    states = [state for _, state, _ in ROW.findall((ROOT / "docs" / "features.md").read_text(encoding="utf-8"))]
    told = f"which of {len(states)} features work ({states.count('works')}; {states.count('partly')} in part)"
    assert told in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing += [path for path in PATH.findall(text) if not any(ROOT.glob(path.rstrip("/.")))]
    assert missing == []


@pytest.fixture(scope="module")
def program() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_fleet_are_there_with_the_options_that_are_named(page: Path, program: Any) -> None:
    wrong = []
    for typed in COMMAND.findall(page.read_text(encoding="utf-8")):
        found = program
        words = [word.strip(".,;:()[]") for word in typed.split()]
        while words and words[0] in getattr(found, "commands", ()):
            found = found.commands[words.pop(0)]
        known = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        wrong += [f"lifecert-fleet {typed}: {option}" for option in options - known if option.strip("-")]
        is_command_missing = hasattr(found, "commands") and words and re.fullmatch(r"[a-z]+(-[a-z]+)*", words[0])
        wrong += [f"lifecert-fleet {typed}"] if is_command_missing else []
    assert wrong == []
