"""What the documents promise can be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import device.cli
import fleet.cli
import provisioning.cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
TRANSLATED = [page for page in PAGES if page.name.endswith(".zh.md")]
ROW = re.compile(r"^\| (\d+) \| .+ \| \w+ \| (works|partly|not yet) \| (.*) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
PROGRAMS = {"fleet": fleet.cli.app, "provision": provisioning.cli.app, "terminal": device.cli.app}
COMMAND = re.compile(rf"lifecert-({'|'.join(PROGRAMS)}) (?!lifecert-|/)([^`\n#|]*)")
FIRST_CELL = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
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
def programs() -> dict[str, Any]:
    return {name: typer.main.get_command(app) for name, app in PROGRAMS.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_there_with_the_options_that_are_named(page: Path, programs: dict[str, Any]) -> None:
    wrong = []
    for program, typed in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", "")):
        found = programs[program]
        words = [word.strip(".,;:()[]") for word in typed.split()]
        while words and words[0] in getattr(found, "commands", ()):
            found = found.commands[words.pop(0)]
        known = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        wrong += [f"lifecert-{program} {typed}: {option}" for option in options - known if option.strip("-")]
        is_command_missing = hasattr(found, "commands") and words and re.fullmatch(r"[a-z]+(-[a-z]+)*", words[0])
        wrong += [f"lifecert-{program} {typed}"] if is_command_missing else []
    assert wrong == []


def told(text: str) -> set[str]:
    """Return the names and options that tables of a page are looked up by; sentences are in the page's language."""
    codes = [code for cell in FIRST_CELL.findall(text) for code in CODE.findall(cell)]
    return {name for code in codes for name in re.findall(r"[a-z]+(?:_[a-z]+)+|--[a-z-]+", code)}


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_page_in_chinese_is_found_from_the_english_one_and_leaves_nothing_out_that_is_looked_up(page: Path) -> None:
    other = page.with_name(page.name.replace(".zh.md", ".md"))
    chinese, english = page.read_text(encoding="utf-8"), other.read_text(encoding="utf-8")
    assert f"[English]({other.name})" in chinese
    assert f"[中文]({page.name})" in english
    assert chinese.count("\n## ") == english.count("\n## ")
    assert told(english) - told(chinese) == set()


def test_every_picture_stands_on_a_page_in_its_language() -> None:
    shown = {(page.parent / link).resolve(): page for page in PAGES for link in LINK.findall(page.read_text("utf-8"))}
    pictures = sorted((ROOT / "docs").rglob("*.webp"))
    assert [path.name for path in pictures if path not in shown] == []
    for path in pictures:
        if path.name.endswith((".zh.webp", ".en.webp")):
            assert shown[path].name.endswith(".zh.md") == path.name.endswith(".zh.webp"), path.name
