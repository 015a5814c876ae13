"""What somebody types, with an editor of Chinese as well, is read or told, and ends in no traceback."""

from __future__ import annotations

import ssl

import pytest

from protocol import grouped
from provisioning.by_hand import by_hand
from provisioning.errors import FileUnusable, FleetUnreachable
from provisioning.joining import answered

pytestmark = pytest.mark.provisioning
CODE, ROOT = grouped.shown("0123456789ABCDEF"), grouped.shown("0123456789ABCDEFGHJK")


@pytest.mark.parametrize(
    "door",
    [
        "https://fleet.example:8444",
        " fleet.example:8444/ ",
        "fleet.example：8444",
        "ｈｔｔｐｓ：／／ｆｌｅｅｔ．ｅｘａｍｐｌｅ：８４４４",
        "https://fleet。example:8444",
    ],
)
def test_a_door_is_read_as_it_is_typed(door: str) -> None:
    assert by_hand(CODE, door, ROOT).door == "https://fleet.example:8444"


@pytest.mark.parametrize(
    "door",
    [
        "https://[fe80::1:8444",
        "https://fleet..example:8444",
        "https://.fleet.example",
        f"https://{'f' * 64}.example",
        "https://fleet.example:84444",
        "https://fleet.example:x",
        "https://",
        "",
    ],
)
def test_a_slip_in_a_door_is_told(door: str) -> None:
    with pytest.raises(FileUnusable, match=r"^--door: an address and nothing behind it expected"):
        by_hand(CODE, door, ROOT)


@pytest.mark.parametrize("url", ["https://[fe80::1:8444", "https://fleet..example:8444", "https://fleet.example:x"])
def test_an_address_that_is_none_gives_no_answer(url: str) -> None:
    with pytest.raises(FleetUnreachable, match="are address and clock right"):
        answered(url, ssl.create_default_context(), "GET", "/", most=1)


def test_a_door_that_is_no_claims_is_told() -> None:
    with pytest.raises(FileUnusable, match="longer than 200 characters"):
        by_hand(CODE, f"https://{'fleet.' * 40}example", ROOT)


def test_code_and_root_are_read_with_full_width_signs() -> None:
    wide = {ord(sign): ord(sign) + 0xFEE0 for sign in CODE + ROOT}
    given = by_hand(CODE.translate(wide), "fleet.example", ROOT.translate(wide))
    assert (given.code, given.root) == ("0123456789ABCDEF", "0123456789ABCDEFGHJK")
