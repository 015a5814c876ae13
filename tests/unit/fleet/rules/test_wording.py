"""Rule packs in words: every rule of every shipped pack is told, with its source."""

from __future__ import annotations

import pytest

from fleet.rules.wording import changed_lines, differences, rules_of
from fleet.web.saying import filled
from fleet.web.texts import LANGUAGES, load_texts
from protocol.rules.pack import RulePack
from protocol.shipped_packs import SHIPPED, shipped_pack, shipped_text


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("pack_id", list(SHIPPED))
def test_every_rule_has_a_sentence_and_every_source_is_named_once_or_more(pack_id: str, language: str) -> None:
    pack, group = shipped_pack(pack_id), load_texts()[language]["rules"]
    rules = rules_of(pack)
    for rule in rules:
        sentence = filled(group, group["says"][rule.code], rule.facts)
        assert "{" not in sentence
        assert "_" not in sentence or rule.part in ("schemes", "categories"), sentence
    assert {source for rule in rules for source in rule.sources} == set(pack.sources)
    assert len({rule.part for rule in rules}) == len(rules)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"cycle": {"kind": "half_years", "gap_reading": "month"}}, "gap"),
        ({"cycle": {"kind": "birth_month", "months_after": 2}}, "early"),
        ({"cycle": {"kind": "annual_window", "opens": "12-01", "closes": "01-31"}}, "cycle"),
        ({"valid_until": "2030-12-31"}, "validity"),
        ({"stop": {"months_after_due": 2, "effect": "end", "after": "data_comparison"}}, "stop_effect"),
        ({"clocks": {"grace_days": 10}}, "grace"),
        ({"enrolment": {"photo_may_enrol": False}}, "photo_may_enrol"),
        ({"photos": {"ground": "any"}}, "photo_ground"),
    ],
)
def test_what_no_shipped_pack_says_has_a_sentence_too(changes: dict[str, object], part: str) -> None:
    before = shipped_pack("LZ-2019")
    after = RulePack.model_validate({**before.model_dump(mode="json"), **changes})
    assert part in {each.part for each in differences(before, after)}
    for texts in load_texts().values():
        for rule in rules_of(after):
            assert "{" not in filled(texts["rules"], texts["rules"]["says"][rule.code], rule.facts)
            assert rule.part in texts["rules"]["parts"]


def test_versions_that_say_the_same_differ_in_nothing() -> None:
    pack, written = shipped_pack("HZ-2020"), shipped_text("HZ-2020")
    assert differences(pack, pack) == []
    assert changed_lines(written, written) == []
    assert ("-", "version = 1") in changed_lines(written, written.replace("version = 1", "version = 2"))
