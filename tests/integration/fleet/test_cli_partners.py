"""`lifecert-fleet partners` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

pytestmark = pytest.mark.integration


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]], make_data_dir: Callable[[], Path], database_url: str
) -> Callable[..., Result]:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')

    typed = program_in(folder)
    assert typed("init", "--identity", "identity.json").exit_code == 0
    return partial(typed, "partners")


def listed(run: Callable[..., Result]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("list", "--json").stdout)["partners"]
    return found


def test_partners_are_added_given_keys_changed_and_revoked(run: Callable[..., Result]) -> None:
    added = run(
        "add", "city-b", "--name", "乙市", "--kind", "city", "--area", "3306", "--scope", "status:read", "--by", "Li Na"
    )
    assert added.exit_code == 0, added.stderr
    key = added.stdout.strip()
    assert key.startswith("lck_")
    assert key not in added.stderr
    assert key not in run("list").stdout
    local = json.loads(run("add", "own-tool", "--local", "--by", "Li Na", "--json").stdout)
    assert local["key"].startswith("lck_")
    city, own = listed(run)
    assert (city["name"], city["areas"], city["scopes"], city["state"]) == (
        "乙市",
        ["3306"],
        ["status:read"],
        "in service",
    )
    assert (own["kind"], own["areas"], own["scopes"]) == (
        "own",
        None,
        ["records:read", "statistics:read", "status:read"],
    )

    assert run("key", "city-b", "--by", "Li Na", "--overlap-hours", "0").stdout.strip() != key
    assert run("scopes", "city-b", "--by", "Li Na", "--scope", "certifications:write").exit_code == 0
    assert listed(run)[0]["scopes"] == ["certifications:write"]
    assert "city-b" in run("list").stdout
    assert json.loads(run("webhooks", "--json").stdout) == {"webhooks": []}
    assert run("revoke", "city-b", "--by", "Li Na").exit_code == 0
    assert (listed(run)[0]["state"], listed(run)[0]["keys"]) == ("revoked", [])
    for arguments in (("key", "city-b"), ("revoke", "city-b"), ("scopes", "city-b", "--per-minute", "5")):
        again = run(*arguments, "--by", "Li Na")
        assert (again.exit_code, again.stderr.strip()) == (1, "partner city-b: there is none of this id in service")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "city-b", "--scope", "status:read"), "areas: --area CODE, or --all-areas, or --local expected"),
        (("add", "city-b", "--area", "1", "--all-areas", "--scope", "status:read"), "areas: --area CODE"),
        (("add", "city-b", "--area", "1"), "--scope expected: certifications:write"),
        (("scopes", "city-b"), "--scope, --area, --per-minute or --valid-until expected"),
    ],
)
def test_half_a_command_says_what_is_missing(run: Callable[..., Result], arguments: tuple[str, ...], says: str) -> None:
    found = run(*arguments, "--by", "Li Na")
    assert found.exit_code == 2
    assert found.stderr.startswith(says)
