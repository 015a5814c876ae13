"""What the documents promise can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ROW = re.compile(r"^\| (\d+) \| .+ \| \w+ \| (works|partly|not yet) \| (.*) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
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
