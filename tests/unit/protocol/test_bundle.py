"""Bundles: written and read, and refused whatever is changed, cut, added or hidden in them."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.bundle import (
    MAX_BUNDLE_BYTES,
    Bundle,
    BundleFile,
    BundleKind,
    BundleManifest,
    Needs,
    Place,
    check_files,
    check_place,
    read_bundle,
    write_bundle,
)
from protocol.errors import Expired, Malformed, ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey, PublicJwk
from tests.unit.device.updates.making import KEY, make_bundle, place

MUTATIONS = 100_000


def known(key_id: str) -> PublicJwk | None:
    return KEY.public() if key_id == KEY.key_id else None


def opened(data: bytes) -> Bundle:
    source = io.BytesIO(data)
    bundle = read_bundle(source, key_of=known)
    check_files(source, bundle)
    return bundle


def test_a_bundle_is_read_as_it_was_written() -> None:
    data = make_bundle(7)
    bundle = opened(data)
    assert (bundle.manifest.number, bundle.size) == (7, len(data))
    assert data[bundle.start :] == b"".join(
        data[bundle.start + sum(each.size for each in bundle.manifest.files[:index]) :][: file.size]
        for index, file in enumerate(bundle.manifest.files)
    )


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change a bundle somewhere, as a fault or an attacker without the key might."""
    kind = chance.randrange(7)
    at = chance.randrange(len(data))
    # The head and the manifest are where cleverness pays, and the files are most of the bytes.
    if chance.random() < 0.5:
        at = chance.randrange(min(len(data), 2500))
    length = chance.choice((1, 1, 1, 2, 8, 64))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + chance.randbytes(length) + data[at + length :]
    if kind == 2:
        return data[:at] + data[at + length :]
    if kind == 3:
        return data[:at] + chance.randbytes(length) + data[at:]
    if kind == 4:
        return data[:at]
    if kind == 5:
        return data + chance.randbytes(length)
    to = chance.randrange(len(data))
    return data[:at] + data[to : to + length] + data[at + length :]


def test_of_a_hundred_thousand_changed_bundles_none_is_taken() -> None:
    chance = random.Random(20261120)
    originals = [make_bundle(number, files=chance.randrange(1, 6)) for number in range(1, 21)]
    tried, taken = 0, []
    while tried < MUTATIONS:
        data = chance.choice(originals)
        changed = mutated(data, chance)
        if changed == data:
            continue
        tried += 1
        try:
            opened(changed)
        except ProtocolError:
            continue
        taken.append((tried, len(data)))
    assert taken == []


def test_another_form_of_the_same_signature_is_refused() -> None:
    data = make_bundle(1)
    start = opened(data).start
    last = data[start - 1 : start]
    forms = {bytes([each]) for each in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"} - {last}
    for each in forms:
        with pytest.raises(ProtocolError):
            opened(data[: start - 1] + each + data[start:])


def test_who_has_not_the_key_makes_none() -> None:
    with pytest.raises(SignatureInvalid):
        opened(make_bundle(1, key=PrivateKey.generate()))


def test_what_is_signed_for_something_else_is_none() -> None:
    from protocol.envelope import sign

    token = sign(b"{}", key=KEY, typ="lifecert-policy")
    with pytest.raises(SignatureInvalid):
        opened(b"lifecert-bundle 1 %d\n%s" % (len(token), token))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04" + bytes(100),
        b"lifecert-bundle 2 10\n" + bytes(10),
        b"lifecert-bundle 1 0010\n" + bytes(10),
        b"lifecert-bundle 1 99999999999999\n",
        b"lifecert-bundle 1 -1\n",
        b"lifecert-bundle 1 10\r\n" + bytes(10),
        b"lifecert-bundle 1 9999999\nx",
    ],
)
def test_what_is_no_bundle_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        opened(data)


def manifest(**changes: Any) -> BundleManifest:
    given = {
        "kind": "app",
        "label": "1.0",
        "number": 5,
        "floor": 2,
        "made_at": datetime(2026, 11, 1, tzinfo=UTC),
        "expires_at": datetime(2027, 11, 1, tzinfo=UTC),
        "files": (file("wheels/lifecert.whl"),),
    }
    return BundleManifest(**{**given, **changes})


def file(name: str, size: int = 1) -> BundleFile:
    return BundleFile(name=name, size=size, sha256="0" * 64)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../etc/passwd",
            "/etc/passwd",
            "a/../../b",
            "a//b",
            "a/./b",
            ".hidden",
            "a/.hidden",
            "..",
            "",
            "a/",
            "a\\b",
            "C:x",
        ),
        *("a\x00b", "a\nb", "-rf", "a b", "x" * 129, "/".join("a" * 9), "é", "a/" * 7 + "x" * 300),
    ],
)
def test_no_name_leads_anywhere_else(name: str) -> None:
    with pytest.raises(ValidationError):
        file(name)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": ()},
        {"files": (file("a"), file("A"))},
        {"files": (file("a"), file("a/b"))},
        {"files": (file("A/b"), file("a"))},
        {"files": (file("a", MAX_BUNDLE_BYTES), file("b"))},
        {"files": tuple(file(f"f{index}") for index in range(4097))},
        {"floor": 6},
        {"number": 0},
        {"expires_at": datetime(2026, 11, 1, tzinfo=UTC)},
        {"label": "../1"},
        {"needs": (Needs(kind=BundleKind.APP, number=1), Needs(kind=BundleKind.APP, number=2))},
        {"kind": "system"},
        {"python": "2.7"},
    ],
)
def test_a_manifest_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manifest(**changes)


def test_what_is_written_must_be_what_the_manifest_says() -> None:
    for content in (b"", b"xx", b"y"):
        with pytest.raises(Malformed):
            write_bundle(io.BytesIO(), manifest(), [io.BytesIO(content)], key=KEY)


HERE = place(running={BundleKind.APP: 3, BundleKind.NETWORKS: 4}, floors={BundleKind.APP: 2})


def test_a_bundle_goes_where_it_fits() -> None:
    check_place(manifest(machine="aarch64", python="3.13", needs=(Needs(kind=BundleKind.NETWORKS, number=4),)), HERE)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"machine": "x86_64"}, "other_machine"),
        ({"python": "3.11"}, "other_python"),
        ({"number": 1, "floor": 1}, "too_old"),
        ({"needs": (Needs(kind=BundleKind.NETWORKS, number=5),)}, "needs_newer"),
        ({"needs": (Needs(kind=BundleKind.VOICES, number=1),)}, "needs_newer"),
    ],
)
def test_a_bundle_for_something_else_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Malformed) as refused:
        check_place(manifest(**changes), HERE)
    assert refused.value.code == code


def test_a_bundle_ends_where_the_clock_is_known() -> None:
    end = datetime(2027, 11, 1, tzinfo=UTC)
    given: dict[str, Any] = {"machine": "aarch64", "python": "3.13", "running": {}, "floors": {}}
    check_place(manifest(), Place(**given, now=end - timedelta(seconds=1)))
    check_place(manifest(), Place(**given, now=None))
    with pytest.raises(Expired):
        check_place(manifest(), Place(**given, now=end))
