from __future__ import annotations

import re
from datetime import date

import pytest

from fleet.errors import Refused
from fleet.reminders.composing import LANGUAGES, Facts, compose, load_texts, sms_parts
from fleet.reminders.planning import Kind
from protocol.rules.days import FOREVER

FACTS = Facts(
    kind=Kind.EXPIRING,
    due=date(2020, 12, 20),
    stop_from=date(2021, 1, 1),
    help_line="12333",
    name="王秀英",
    place="南桥镇",
)


def keys(table: object, name: str = "") -> set[str]:
    if not isinstance(table, dict):
        return {name}
    return {key for part, inner in table.items() for key in keys(inner, f"{name}.{part}")}


def test_every_language_has_the_same_texts_and_every_kind_has_one() -> None:
    assert keys(load_texts("zh")) == keys(load_texts("en"))
    assert set(load_texts("zh")["kinds"]) == {*(kind.value for kind in Kind), "stop_noted"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_r9_3_every_message_says_the_official_number_and_no_link(language: str, kind: Kind) -> None:
    for stop in (date(2021, 1, 1), FOREVER):
        found = compose(Facts(kind, FACTS.due, stop, "400-900-4889", "王秀英", "南桥镇"), language)  # type: ignore[arg-type]
        assert "400-900-4889" in found.body
        assert not re.search(r"://|www|http|\{|\}", found.body + found.title)
        assert found.title


def test_a_message_has_name_day_place_and_number() -> None:
    assert compose(FACTS, "zh").body == (
        "王秀英您好！本期待遇领取资格认证将于2020年12月20日截止，请尽快办理。可就近到南桥镇的服务点或认证终端办理，"
        "行动不便可申请上门。本通知不含链接，不收费，不索要密码。如有疑问请拨打官方电话12333。"
    )
    english = compose(FACTS, "en").body
    assert english.startswith("Dear 王秀英, your proof of life is due by 20 December 2020. Please come soon. Go to")
    assert compose(FACTS, "both").body == compose(FACTS, "zh").body + "\n" + english


def test_r2_11_nobody_is_bound_to_a_place_and_the_name_can_be_left_out() -> None:
    found = compose(Facts(Kind.DUE, FACTS.due, FOREVER, "12333"), "en").body
    assert found.startswith("The period for your proof of life begins.")
    assert "a service point or terminal near you" in found
    assert "王" not in found


def test_a_stop_without_a_day_names_none() -> None:
    assert "9999" not in compose(Facts(Kind.STOP_PROPOSED, FACTS.due, FOREVER, "12333"), "both").body


@pytest.mark.parametrize("name", ["www.example.org", "see http://x", "HTTPS x"])
def test_no_link_gets_in_by_a_name(name: str) -> None:
    with pytest.raises(Refused, match="link"):
        compose(Facts(Kind.DUE, FACTS.due, FOREVER, "12333", name), "zh")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("认" * 70, 1),
        ("认" * 71, 2),
        ("认" * 134, 2),
        ("认" * 135, 3),
        ("\U00020000" * 35, 1),
        ("\U00020000" * 36, 2),
    ],
)
def test_short_messages_are_counted_as_they_are_paid(text: str, parts: int) -> None:
    assert sms_parts(text) == parts


def test_nothing_personal_shows_in_a_repr() -> None:
    assert "王" not in repr(FACTS)
    assert "王" not in repr(compose(FACTS, "zh"))
