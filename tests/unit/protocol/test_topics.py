from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed
from protocol.topics import TABLE, Kind, Topic, fleet_inbox, terminal_inbox

LEVEL = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,20}\Z")


@given(LEVEL, LEVEL, st.sampled_from(Kind))
def test_topic_reads_back(fleet: str, terminal: str, kind: Kind) -> None:
    topic = Topic(fleet, terminal, kind)
    assert Topic.parse(str(topic)) == topic


@given(st.text(max_size=80))
def test_any_text_is_a_topic_or_refused(text: str) -> None:
    with contextlib.suppress(Malformed):
        assert str(Topic.parse(text)) == text


@pytest.mark.parametrize("level", ["", "+", "#", "a/b", "A", "é", "a" * 64])
def test_levels_that_would_change_a_topics_meaning_are_refused(level: str) -> None:
    with pytest.raises(Malformed):
        Topic("fleet", level, Kind.RECORD)


def test_wrong_direction_is_refused() -> None:
    with pytest.raises(Malformed, match="goes up"):
        Topic.parse("lifecert/v1/f/t/down/record")


def test_every_kind_has_a_row() -> None:
    assert set(TABLE) == set(Kind)


def test_inboxes_cover_exactly_their_direction() -> None:
    assert str(terminal_inbox("f", "t")) == "lifecert/v1/f/t/down/#"
    assert str(fleet_inbox("f")) == "lifecert/v1/f/+/up/#"
    assert str(fleet_inbox("f", shared_group="ingest")) == "$share/ingest/lifecert/v1/f/+/up/#"
