from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.courier import CourierPart
from protocol.envelope import verify
from protocol.errors import Malformed, ProtocolError, UnsupportedVersion
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.examples import examples, reference_proposed, update_ended
from protocol.keys import PublicJwk
from protocol.presence import PRESENCE_TYP, Presence
from protocol.records import Link
from protocol.topics import TABLE, Kind
from protocol.wire import MAX_MESSAGE_BYTES, WireMessage

MESSAGES = [pytest.param(message, id=message.TYPE) for message in examples().values()]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def wire_types(base: type[WireMessage] = WireMessage) -> set[type[WireMessage]]:
    return {base, *(found for sub in base.__subclasses__() for found in wire_types(sub))} - {
        WireMessage,
        Link,
        CourierPart,
    }


def test_every_message_but_the_feature_pipe_has_an_example() -> None:
    # Messages of the fleet and its partners are described with the open interface.
    ours = {found for found in wire_types() if found.__module__.startswith("protocol.")}
    assert {found.TYPE for found in ours} - {m.TYPE for m in examples().values()} <= {"feature-report"}


@pytest.mark.parametrize("message", MESSAGES)
def test_message_reads_back(message: WireMessage) -> None:
    assert type(message).parse(message.to_bytes()) == message


@pytest.mark.parametrize("message", MESSAGES)
def test_example_fits_its_json_schema(message: WireMessage) -> None:
    jsonschema.validate(json.loads(message.to_bytes()), type(message).model_json_schema())


@pytest.mark.parametrize("message", MESSAGES)
def test_unknown_version_is_named_as_such(message: WireMessage) -> None:
    data = json.loads(message.to_bytes()) | {"version": 2}
    with pytest.raises(UnsupportedVersion, match="version 2"):
        type(message).parse(json.dumps(data).encode())


@pytest.mark.parametrize("message", MESSAGES)
def test_unknown_key_and_other_type_are_refused(message: WireMessage) -> None:
    data = json.loads(message.to_bytes())
    with pytest.raises(Malformed, match="extra_forbidden"):
        type(message).parse(json.dumps(data | {"surprise": 1}).encode())
    with pytest.raises(Malformed, match="another type"):
        type(message).parse(json.dumps(data | {"type": "other"}).encode())


@pytest.mark.parametrize("message", MESSAGES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_replaced_value_is_a_valid_message_or_refused(message: WireMessage, data: st.DataObject) -> None:
    found: Any = json.loads(message.to_bytes())
    node = found
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            node[key] = data.draw(JSON)
            break
        node = inner
    try:
        parsed = type(message).parse(json.dumps(found).encode())
    except ProtocolError:
        return
    assert type(message).parse(parsed.to_bytes()) == parsed


@pytest.mark.parametrize("message", MESSAGES)
@settings(max_examples=100)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(message: WireMessage, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        type(message).parse(data)


@pytest.mark.parametrize("data", [b"[" * 100_000, b" " * (MAX_MESSAGE_BYTES + 1), b'{"type": NaN}'])
def test_hostile_json_is_refused(data: bytes) -> None:
    for message in examples().values():
        with pytest.raises(ProtocolError):
            type(message).parse(data)


def test_protocol_page_is_current() -> None:
    docs = Path(__file__).parents[3] / "docs"
    made = runpy.run_path(str(docs / "build_protocol.py"))
    assert (docs / "protocol.md").read_text(encoding="utf-8") == made["page"](), "run docs/build_protocol.py"


GOLDEN = Path(__file__).parents[2] / "golden" / "protocol"


@pytest.mark.parametrize("typ", [typ for typ in examples() if typ.startswith("lifecert-")])
def test_signed_message_of_version_1_is_still_read(typ: str) -> None:
    expected = examples()[typ]
    path = GOLDEN / f"v1-{expected.TYPE}.jws"
    own_key = path.with_suffix(".key.json")
    public = PublicJwk.model_validate_json((own_key if own_key.exists() else GOLDEN / "v1-key.json").read_bytes())
    token = path.read_bytes()
    verified = verify(token, key_of={public.key_id: public}.get, typ=typ)
    # Nothing is lost by reading: what version 1 said is what is understood. Fields it did not have get their defaults.
    read = type(expected).parse(verified.payload).model_dump_json(exclude_unset=True)
    assert json.loads(read) == json.loads(verified.payload)


def presence_in(name: str, key_name: str) -> Presence:
    token = (GOLDEN / f"v1-{name}.jws").read_bytes()
    key = PublicJwk.model_validate_json((GOLDEN / f"v1-{key_name}.json").read_bytes())
    assert len(token) < TABLE[Kind.PRESENCE].max_bytes
    return Presence.parse(verify(token, key_of={key.key_id: key}.get, typ=PRESENCE_TYP).payload)


def test_presence_is_read_whole_and_an_older_one_says_none_of_what_came_later() -> None:
    whole = presence_in("presence-reported", "presence-reported.key")
    assert whole == examples()[PRESENCE_TYP]
    with_health = presence_in("presence-health", "presence-health.key")
    assert with_health == whole.model_copy(update={"reported": None})
    assert with_health.health is not None
    board = with_health.health.board
    assert (board.is_under_voltage, board.was_under_voltage) == (False, True)
    assert presence_in("presence", "key").health is None


def event_in(name: str) -> TerminalEvent:
    token = (GOLDEN / f"v1-{name}.jws").read_bytes()
    key = PublicJwk.model_validate_json((GOLDEN / f"v1-{name}.key.json").read_bytes())
    return TerminalEvent.parse(verify(token, key_of={key.key_id: key}.get, typ=EVENT_TYP).payload)


def test_an_update_that_ended_says_for_which_wish_it_was_tried() -> None:
    event = event_in("terminal-event-update")
    assert event == update_ended()
    assert event.detail["wish"] == "3"


def test_an_event_brings_a_reference_if_it_says_so_and_only_then() -> None:
    event = event_in("terminal-event-proposal")
    assert event == reference_proposed()
    assert event.proposal is not None
    as_enrolment = {
        **event.proposal.model_dump(),
        "reference": event.proposal.reference.model_copy(update={"kind": "enrolment"}),
    }
    for changes in ({"kind": EventKind.STARTED}, {"proposal": None}, {"proposal": as_enrolment}):
        with pytest.raises(ValidationError, match="reference"):
            TerminalEvent.model_validate({**event.model_dump(), **changes})
