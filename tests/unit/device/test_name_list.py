"""Whom an operator finds by a part of a name."""

from __future__ import annotations

from device.name_list import initials, matching
from device.ports import Labelled
from protocol.documents import DocumentKind
from protocol.roster import SubjectLabel


def people(*names: str) -> list[Labelled]:
    return [
        Labelled(DocumentKind.RESIDENT_ID, f"{number:043d}", SubjectLabel(name=name, born=1950 - number))
        for number, name in enumerate(names)
    ]


def found(part: str, *names: str) -> list[str]:
    return [one.label.name for one in matching(people(*names), part)]


def test_whose_name_begins_with_what_was_looked_for_comes_first() -> None:
    assert found("王", "李王氏", "王秀英", "张三", "王二") == ["王二", "王秀英", "李王氏"]


def test_people_of_one_name_stand_by_their_age_and_everybody_is_found_by_nothing() -> None:
    assert [one.label.born for one in matching(people("王二", "王二"), "王")] == [1949, 1950]
    assert found("", "王二", "李一") == ["李一", "王二"]


def test_writing_makes_no_difference() -> None:
    assert found("feather stone", "Margaret Featherstone") == ["Margaret Featherstone"]
    assert found("ＷＡＮＧ", "Wang Er") == ["Wang Er"]


def test_initials_stand_by_how_many_begin_with_them() -> None:
    assert initials(people("李一", "王二", "王三", "feng", "Fei", "𠮷田", "Fa")) == ["F", "王", "李", "𠮷"]
    assert initials([]) == []
