"""`lifecert-fleet accounts` as it is typed."""

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
    (folder / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n\n[accounts]\nurl = "https://console.example"\n'
    )
    typed = program_in(folder)
    assert typed("init", "--identity", "identity.json").exit_code == 0
    return partial(typed, "accounts")


def listed(run: Callable[..., Result]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json").stdout)["accounts"]
    return found


def test_accounts_are_added_given_roles_taken_out_of_service_and_brought_back(run: Callable[..., Result]) -> None:
    refused = run("add", "王芳", "--role", "operator", "--by", "Zhao")
    assert refused.exit_code == 1
    assert refused.stderr == "account: the first account must be a fleet administrator\n"
    first = run("add", "王芳", "--role", "fleet_administrator", "--by", "王芳")
    assert first.exit_code == 0, first.stderr
    made = json.loads(run("add", "Li Na", "--role", "operator", "--area", "6201", "--by", "王芳", "--json").stdout)
    account_id = made["account_id"]
    assert run("grant", "li na", "--role", "viewer", "--by", "王芳").exit_code == 0
    assert run("revoke", account_id, "--role", "operator", "--area", "6201", "--by", "王芳").exit_code == 0
    assert run("disable", account_id, "--by", "王芳").exit_code == 0
    administrator, viewer = listed(run)
    assert administrator["account_id"] == first.stdout.strip()
    assert (viewer["name"], viewer["state"], viewer["is_set_up"]) == ("Li Na", "disabled", False)
    assert viewer["grants"] == [{"role": "viewer", "area": None}]
    assert run("enable", account_id, "--by", "王芳").exit_code == 0
    shown = run("list").stdout
    for cell in ("王芳", "fleet_administrator", "by a link", "in service"):
        assert cell in shown


def test_a_link_is_printed_alone_and_a_reset_is_followed_by_one(run: Callable[..., Result]) -> None:
    account_id = run("add", "王芳", "--role", "fleet_administrator", "--by", "王芳").stdout.strip()
    made = run("link", account_id, "--by", "王芳")
    assert made.stdout.startswith("https://console.example/sign-in/link/")
    assert len(made.stdout.splitlines()) == 1
    assert made.stdout.strip() not in made.stderr
    assert run("reset", "王芳", "--by", "Zhao").exit_code == 0
    found = json.loads(run("link", "王芳", "--by", "Zhao", "--json").stdout)
    assert (found["account_id"], found["minutes"]) == (account_id, 10)
    assert found["url"] != made.stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revoke", "王芳", "--role", "fleet_administrator", "--by", "Zhao"), "the last fleet administrator"),
        (("disable", "王芳", "--by", "Zhao"), "the last fleet administrator"),
        (("grant", "王芳", "--role", "viewer", "--by", "王芳"), "nobody changes their own roles"),
        (("grant", "王芳", "--role", "reviewer", "--by", "Zhao"), "must not be in one hand"),
        (("grant", "Nobody", "--role", "viewer", "--by", "Zhao"), "there is none of this id or name"),
        (("add", " 王芳", "--role", "viewer", "--by", "Zhao"), "a name stands for one person"),
    ],
)
def test_what_must_not_be_is_refused_in_one_line_without_names(
    run: Callable[..., Result], arguments: tuple[str, ...], message: str
) -> None:
    run("add", "王芳", "--role", "fleet_administrator", "--by", "王芳")
    done = run(*arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "王芳" not in done.stderr
    assert "Nobody" not in done.stderr


def test_an_unknown_role_is_wrong_usage(run: Callable[..., Result]) -> None:
    assert run("add", "王芳", "--role", "king", "--by", "Zhao").exit_code == 2


def test_what_waits_for_a_second_person_is_listed_approved_and_refused(run: Callable[..., Result]) -> None:
    run("add", "Wang Fang", "--role", "fleet_administrator", "--by", "Wang Fang")
    assert json.loads(run("waiting", "--json").stdout) == {"changes": []}
    for command in ("approve", "refuse"):
        none = run(command, "ac-0123456789ab", "--by", "Wang Fang")
        assert none.exit_code == 1
        assert "none of this id waits" in none.stderr
