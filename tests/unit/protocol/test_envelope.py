from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.envelope import key_id_of, seal, sign, typ_of, unseal, verify
from protocol.errors import Malformed, NotForUs, ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey, PublicJwk
from protocol.wire import MAX_MESSAGE_BYTES

KEY = PrivateKey.generate()
OTHER = PrivateKey.generate()


def known(key_id: str) -> PublicJwk | None:
    return {KEY.key_id: KEY.public()}.get(key_id)


@given(st.binary(max_size=300))
def test_signed_bytes_come_back_exactly(payload: bytes) -> None:
    token = sign(payload, key=KEY, typ="a")
    verified = verify(token, key_of=known, typ="a")
    assert (verified.payload, verified.key_id, key_id_of(token)) == (payload, KEY.key_id, KEY.key_id)
    assert typ_of(token) == "a"


def test_largest_message_can_be_signed_sealed_and_read() -> None:
    payload = b"x" * MAX_MESSAGE_BYTES
    token = sign(payload, key=KEY, typ="a")
    assert verify(token, key_of=known, typ="a").payload == payload
    plain = b"y" * MAX_MESSAGE_BYTES
    assert unseal(seal(plain, reader=KEY.public()), key=KEY) == plain


def test_signature_for_another_type_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="type"):
        verify(sign(b"{}", key=KEY, typ="a"), key_of=known, typ="b")


def test_unknown_key_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="unknown key"):
        verify(sign(b"{}", key=OTHER, typ="a"), key_of=known, typ="a")


def test_other_key_under_a_known_key_id_is_refused() -> None:
    token = sign(b"{}", key=OTHER, typ="a")
    with pytest.raises(SignatureInvalid, match="does not hold"):
        verify(token, key_of=lambda _: KEY.public(), typ="a")


def test_unsigned_token_is_refused() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"%s","typ":"a"}' % KEY.key_id.encode()).rstrip(b"=")
    with pytest.raises(ProtocolError):
        verify(header + b".e30.", key_of=known, typ="a")


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_altered_byte_passes(position: int, flip: int) -> None:
    token = bytearray(sign(b'{"counter": 1}', key=KEY, typ="a"))
    position %= len(token)
    token[position] ^= flip
    try:
        assert verify(bytes(token), key_of=known, typ="a").payload == b'{"counter": 1}'
    except ProtocolError:
        return
    # The last character of the signature has spare bits: such a token holds the very same signature and payload.
    assert position == len(token) - 1


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        verify(data, key_of=known, typ="a")
    with pytest.raises(ProtocolError):
        unseal(data, key=KEY)


def test_sealed_message_opens_for_its_reader_only() -> None:
    token = seal(b"secret", reader=KEY.public())
    assert unseal(token, key=KEY) == b"secret"
    assert b"secret" not in token
    with pytest.raises(NotForUs):
        unseal(token, key=OTHER)


def test_altered_seal_is_refused() -> None:
    token = seal(b"secret", reader=KEY.public())
    head, *_, tag = token.split(b".")
    with pytest.raises(NotForUs):
        unseal(token[: -len(tag)] + b"A" * len(tag), key=KEY)
    assert head


def test_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert PrivateKey.load(path).key_id == KEY.key_id
    with pytest.raises(FileExistsError):
        OTHER.save(path)


@pytest.mark.parametrize("content", [b"", b"not a key", OTHER.public().model_dump_json().encode()])
def test_damaged_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(Malformed, match="key file"):
        PrivateKey.load(path)


def test_point_off_the_curve_is_refused() -> None:
    good = KEY.public()
    with pytest.raises(Malformed):
        PublicJwk(x=good.x, y=good.x).key()


def test_private_key_shows_no_secret() -> None:
    assert repr(KEY) == f"PrivateKey({KEY.key_id})"
