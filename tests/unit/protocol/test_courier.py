from __future__ import annotations

import contextlib
import os
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import courier
from protocol.courier import (
    BLOCK,
    MAX_CHUNK_BYTES,
    Address,
    ChunkName,
    CourierBundle,
    CourierChunk,
    CourierManifest,
    CourierMessage,
    close,
    content_of,
    courier_message,
    digest_of,
    open_chunk,
    open_manifest,
    sealed_bytes,
    split,
)
from protocol.envelope import seal, sign
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey, PublicJwk
from protocol.topics import TABLE, Kind
from protocol.wire import MAX_MESSAGE_BYTES

WRITER, READER = PrivateKey.generate(), PrivateKey.generate()
HERE = Address("north", "t-1", CourierBundle.RECORDS)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAFE_NAME = re.compile(r"[a-z0-9.-]{1,64}")


def signer(key: PrivateKey):
    return lambda payload, typ: sign(payload, key=key, typ=typ)


def key_of(key_id: str) -> PublicJwk | None:
    return WRITER.public() if key_id == WRITER.key_id else None


def chunk(
    *messages: CourierMessage, bundle: CourierBundle = CourierBundle.RECORDS, terminal: str = "t-1"
) -> CourierChunk:
    return CourierChunk(fleet_id="north", terminal_id=terminal, bundle=bundle, made_at=NOON, messages=messages)


def message(size: int = 6000, kind: Kind = Kind.RECORD) -> CourierMessage:
    return courier_message(kind, b"e" * size)


def closed(part: courier.CourierPart, key: PrivateKey = WRITER) -> bytes:
    return close(part, sign=signer(key), reader=READER.public())


def opened(data: bytes, address: Address = HERE) -> CourierChunk:
    return open_chunk(data, key=READER, key_of=key_of, address=address)


def test_a_chunk_opens_for_its_reader_as_it_was_closed() -> None:
    made = chunk(message(), message(kind=Kind.ROSTER_REQUEST))
    assert opened(closed(made)) == made


def test_nothing_of_a_chunk_can_be_read_without_the_readers_key() -> None:
    data = closed(chunk(courier_message(Kind.RECORD, b"x" * 40)))
    assert b"north" not in data
    with pytest.raises(NotForUs):
        open_chunk(data, key=PrivateKey.generate(), key_of=key_of, address=HERE)


def test_a_chunk_by_another_writer_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        opened(closed(chunk(message()), PrivateKey.generate()))


@pytest.mark.parametrize(
    "address",
    [
        Address("south", "t-1", CourierBundle.RECORDS),
        Address("north", "t-2", CourierBundle.RECORDS),
        Address("north", "t-1", CourierBundle.ANSWERS),
    ],
)
def test_a_chunk_that_was_moved_to_another_folder_is_not_for_us(address: Address) -> None:
    with pytest.raises(NotForUs, match="another folder"):
        opened(closed(chunk(message())), address)


def test_a_manifest_is_no_chunk_and_a_chunk_is_no_manifest() -> None:
    name = str(ChunkName(1, "a" * 16, "b" * 16))
    manifest = CourierManifest(
        fleet_id="north", terminal_id="t-1", bundle=CourierBundle.RECORDS, made_at=NOON, chunks=(name,)
    )
    data = closed(manifest)
    assert open_manifest(data, key=READER, key_of=key_of, address=HERE) == manifest
    with pytest.raises(SignatureInvalid, match="type"):
        opened(data)
    with pytest.raises(SignatureInvalid, match="type"):
        open_manifest(closed(chunk(message())), key=READER, key_of=key_of, address=HERE)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("bundle", list(CourierBundle))
def test_messages_go_one_way_only(kind: Kind, bundle: CourierBundle) -> None:
    data = chunk(message()).to_bytes().replace(b'"records"', f'"{bundle}"'.encode())
    data = data.replace(b'"record"', f'"{kind}"'.encode())
    if TABLE[kind].direction == bundle.direction:
        assert CourierChunk.parse(data).messages[0].kind is kind
    else:
        with pytest.raises(Malformed):
            CourierChunk.parse(data)


@pytest.mark.parametrize("payload", [b"", b"not compact", "é".encode(), b"\xff", b"x" * (MAX_MESSAGE_BYTES + 1)])
def test_what_is_no_compact_envelope_goes_into_no_chunk(payload: bytes) -> None:
    with pytest.raises(Malformed, match="no chunk can carry"):
        courier_message(Kind.RECORD, payload)


def test_the_largest_message_that_mqtt_carries_fits_into_a_chunk() -> None:
    made = chunk(message(MAX_MESSAGE_BYTES, Kind.ROSTER), bundle=CourierBundle.ROSTER)
    data = closed(made)
    assert len(data) <= MAX_CHUNK_BYTES
    assert opened(data, Address("north", "t-1", CourierBundle.ROSTER)) == made


@given(sizes=st.lists(st.integers(1, 70_000), max_size=80))
def test_messages_are_split_in_order_and_the_same_way_every_time(sizes: list[int]) -> None:
    messages = [message(size) for size in sizes]
    groups = list(split(messages))
    assert [one for group in groups for one in group] == messages
    assert all(
        1 <= len(group) <= BLOCK and (len(group) == 1 or sum(len(m.envelope) for m in group) <= courier.CHUNK_BYTES)
        for group in groups
    )
    assert groups == list(split(messages))


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 12_000), min_size=1, max_size=BLOCK))
def test_the_size_of_a_chunk_file_is_never_underestimated_and_not_by_much_over(sizes: list[int]) -> None:
    group = [message(size) for size in sizes]
    found = len(closed(chunk(*group)))
    assert found <= sealed_bytes(group) <= found * 1.2 + 2048


@given(st.integers(0, 10**12 - 1), st.binary(), st.lists(st.binary(max_size=4)))
def test_a_chunk_name_reads_back_sorts_by_sequence_and_suits_every_file_system(
    sequence: int, data: bytes, identities: list[bytes]
) -> None:
    content = content_of(identities, writer_id="w", reader_id="r")
    name = ChunkName(sequence, content, digest_of(data))
    assert ChunkName.parse(str(name)) == name
    assert SAFE_NAME.fullmatch(str(name))
    assert name.fits(data)
    assert not name.fits(data + b"!")
    assert (str(ChunkName(sequence, "f" * 16, "f" * 16)) < str(ChunkName(10**12 - 1, "0" * 16, "0" * 16))) or (
        sequence == 10**12 - 1
    )


def test_content_differs_by_message_order_writer_and_reader() -> None:
    found = {
        content_of([b"a", b"b"], writer_id="w", reader_id="r"),
        content_of([b"b", b"a"], writer_id="w", reader_id="r"),
        content_of([b"ab"], writer_id="w", reader_id="r"),
        content_of([b"a", b"b"], writer_id="x", reader_id="r"),
        content_of([b"a", b"b"], writer_id="w", reader_id="x"),
    }
    assert len(found) == 5


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-f.\-lcb]{0,60}"))
def test_any_text_is_a_chunk_name_or_none(text: str) -> None:
    name = ChunkName.parse(text)
    assert name is None or str(name) == text


@given(st.text(max_size=80))
def test_any_folder_name_is_a_fleets_a_terminals_or_none(text: str) -> None:
    for read, build in (
        (courier.fleet_of, courier.fleet_folder),
        (courier.terminal_of, courier.terminal_folder),
    ):
        for name in (text, build(text)):
            found = read(name)
            assert found is None or (build(found) == name and SAFE_NAME.fullmatch(found))
    assert courier.terminal_of("terminal-con") == "con"


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    for read in (open_chunk, open_manifest):
        with pytest.raises(ProtocolError):
            read(data, key=READER, key_of=key_of, address=HERE)


@settings(max_examples=80, deadline=None)
@given(inside=st.binary(max_size=300), is_signed=st.booleans())
def test_any_bytes_inside_a_seal_and_a_signature_are_refused(inside: bytes, is_signed: bool) -> None:
    token = sign(inside, key=WRITER, typ=courier.CHUNK_TYP) if is_signed else inside
    with pytest.raises(ProtocolError):
        opened(seal(token, reader=READER.public()))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_chunk_with_one_byte_changed_never_opens_as_something_else(data: st.DataObject) -> None:
    made = chunk(message(50))
    whole = bytearray(closed(made))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ProtocolError):
        # The last character of a base64 part has bits that mean nothing.
        assert opened(bytes(whole)) == made


def test_a_file_over_the_limit_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(Malformed, match="over the limit"):
        opened(os.urandom(16) * (MAX_CHUNK_BYTES // 16 + 1))
