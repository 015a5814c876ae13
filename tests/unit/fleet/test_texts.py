from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import fleet.web
from fleet.accounts.roles import Role
from fleet.admission import Chain, Flag
from fleet.web.navigation import ENTRIES
from fleet.web.texts import LANGUAGES, groups_in, load_texts, shared_words
from protocol.outcomes import Outcome, Reason
from protocol.rules.obligations import CertificationState

WEB = Path(fleet.web.__file__).parent
ROOT = WEB.parent.parent
_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff]"
_BEFORE, _AFTER = rf"(?:{_HAN}|[”》』」、。，；：）}}])", rf"(?:{_HAN}|[“《『「（{{])"
HALF_WIDTH = re.compile(rf"{_BEFORE}\s*[,;:!?()]|[,;:!?()]\s*{_AFTER}|{_HAN}\.(?![A-Za-z0-9])")
"""A mark of another script beside a Chinese character, a Chinese mark or a place that is filled in."""
HALF_WIDTH_ALLOWED = {
    (
        "fleet/privacy/consent_texts.toml",
        "text.0.zh",
    ): "people agreed to it as it stands; the next version has full width",
    ("fleet/web/texts/zh/console.toml", "shortcuts"): "names the key ? as it is on the keyboard",
    ("protocol/slip_texts.toml", "page.field.zh"): "LCS1: is how a slip begins, character by character",
}
OTHERS = {
    "figures.cuts": "says by what is counted",
    "logged.fields": "labels of details",
    "people.comparison": "sentences",
    "people.sentence": "sentences",
    "people.way_fields": "labels of fields",
    "refused.file_columns": "labels of columns",
    "rules.charts": "titles of charts",
    "rules.policy": "labels of thresholds",
    "rules.policy.fields.comparison": "labels of thresholds",
    "terminals.concern_help": "sentences",
    "terminals.presence": "sentences",
}
"""Tables that say something else about the codes of a table of words, and what."""


def tables(found: Mapping[str, Any], name: str) -> Iterator[tuple[str, set[str]]]:
    """Give the name and the codes of each table in a file."""
    yield name, {code for code, word in found.items() if isinstance(word, str)}
    for part, table in found.items():
        if isinstance(table, Mapping):
            yield from tables(table, f"{name}.{part}")


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_language_has_a_word_for_everything_shown(language: str) -> None:
    words = load_texts()[language]["words"]
    assert set(words["outcomes"]) == set(Outcome)
    assert set(words["reasons"]) == set(Reason)
    assert set(words["states"]) == set(CertificationState)
    assert set(words["flags"]) == set(Flag)
    assert set(words["chain"]) == set(Chain)
    assert set(words["roles"]) == set(Role)
    assert set(load_texts()[language]["menu"]) == {entry.group for entry in ENTRIES}


def test_all_languages_have_the_same_texts_and_none_is_empty() -> None:
    first, *others = (texts.flat() for texts in load_texts().values())
    for other in others:
        assert set(other) == set(first)
    for texts in (first, *others):
        assert all(texts.values())
    for other in others:
        # Lists of paragraphs, such as help, have as many in every language.
        assert {key: len(value) for key, value in first.items() if isinstance(value, list)} == {
            key: len(value) for key, value in other.items() if isinstance(value, list)
        }


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_a_word_that_several_groups_use_stands_once(language: str) -> None:
    groups = groups_in(language)
    words = {table: set(codes) for table, codes in groups.pop("words").items()}
    repeated = {}
    for group, found in groups.items():
        for name, codes in tables(found, group):
            # Beside its tables a group has labels and sentences, which go by names and not by codes.
            if name == group or name in OTHERS:
                continue
            known = [table for table, of in words.items() if len(of & codes) >= max(2, len(of) / 2)]
            if known:
                repeated[name] = known
    assert repeated == {}


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_a_group_says_no_shared_word_otherwise(language: str) -> None:
    groups = groups_in(language)
    for group, shared in shared_words().items():
        own = dict(tables(groups[group], group))
        for name, used in shared.items():
            said = {(code, word) for table in used for code, word in groups["words"][table].items()}
            codes = [code for code, _ in said]
            assert not own.get(f"{group}.{name}", set()) & set(codes), (group, name)
            assert len(codes) == len(set(codes)), (group, name)


def test_every_table_of_words_is_used_by_somebody() -> None:
    shared = {table for names in shared_words().values() for used in names.values() for table in used}
    pages = "".join(path.read_text(encoding="utf-8") for path in WEB.rglob("*") if path.suffix in (".py", ".html"))
    for table in load_texts()["en"]["words"]:
        assert table in shared or f"words.{table}" in pages or f'["words"]["{table}"]' in pages, table


def test_a_word_goes_by_its_number() -> None:
    texts = load_texts()
    said = texts["en"]["people"]["count"]
    assert [said.format(count=number) for number in (0, 1, "1", 2, "1,001")] == [
        "0 people",
        "1 person",
        "1 person",
        "2 people",
        "1,001 people",
    ]
    assert texts["en"]["exchange"]["areas_missing"].format(count=1) == "1 area did not report"
    assert texts["en"]["account"]["recovery_left"].format(count=1) == "1 recovery code is left."
    assert texts["zh"]["people"]["count"].format(count=1) == "共 1 人"


def test_no_english_text_counts_one_as_many() -> None:
    """A number that may be one stands before no plural; limits, which are more than one, may."""
    limits = {"most", "least", "limit", "expected", "band", "needed", "asked", "age"}
    plural = re.compile(
        r"(?<! of )\{([a-z_]+)\} (?:more )?(?:people|cases|areas|rows|problems|months|days|files|entries|pictures)\b"
    )
    wrong = {
        name: found
        for name, value in load_texts()["en"].flat().items()
        for found in plural.findall(str(value))
        if found not in limits
    }
    assert wrong == {}


def told_in_chinese() -> Iterator[tuple[str, str, str]]:
    """Give file, name and words of every text that is shipped in Chinese."""
    for package in ("protocol", "device", "fleet", "provisioning", "demo"):
        for path in sorted((ROOT / package).rglob("*.toml")):
            named = path.relative_to(ROOT).as_posix()
            for name, words in strings(tomllib.loads(path.read_text(encoding="utf-8"))):
                if "en" not in (*path.parts, path.stem, *name.split(".")) and re.match(rf"[^A-Za-z]*{_HAN}", words):
                    yield named, name, words


def strings(found: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every text of a file with its whole name."""
    if isinstance(found, str):
        yield name, found
    elif isinstance(found, Mapping | list):
        for key, value in found.items() if isinstance(found, Mapping) else enumerate(found):
            yield from strings(value, f"{name}.{key}" if name else str(key))


def test_chinese_texts_have_chinese_punctuation() -> None:
    found = list(told_in_chinese())
    assert {"fleet/cases/texts/zh.toml", "fleet/reminders/texts/zh.toml", "fleet/privacy/register.toml"} <= {
        path for path, _, _ in found
    }
    wrong = {(path, name): words for path, name, words in found if HALF_WIDTH.search(words)}
    assert wrong.keys() == HALF_WIDTH_ALLOWED.keys(), {
        each: wrong.get(each) for each in wrong.keys() ^ HALF_WIDTH_ALLOWED
    }


OTHER_NAMES = (
    *(
        "人工审核",
        "[本该]事项",
        "(受理|误立)的事项",
        "误开",
        "未联系到",
        "从未出现",
        "联系阶梯",
        "登记报告",
        "家属报告日期",
        "无消息",
    ),
    *("停付", "(?<!尚)(?<!逾期)未认证(?!过)"),
)
"""What the glossary of docs/console.md keeps out; a pattern says where a word means something else."""
OTHER_NAMES_ALLOWED = {
    (
        "fleet/reminders/texts/zh.toml",
        "results.not_reached.0",
    ): "what people write into a list is read whatever they call it"
}


@pytest.mark.parametrize("other", OTHER_NAMES)
def test_one_thing_has_one_name(other: str) -> None:
    """On pages, in letters, reminders and lists."""
    found = {(path, name) for path, name, words in told_in_chinese() if re.search(other, words)}
    assert found - OTHER_NAMES_ALLOWED.keys() == set()


def test_what_may_have_another_name_has_it() -> None:
    words = {(path, name): words for path, name, words in told_in_chinese()}
    assert all(any(re.search(other, words[each]) for other in OTHER_NAMES) for each in OTHER_NAMES_ALLOWED)
