from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from device.updates.fetching import (
    Bucket,
    Later,
    Take,
    check_head,
    judge_answer,
    place_for,
    request_headers,
    why_refused,
)
from protocol.bundle import BundleKind
from protocol.errors import ProtocolError
from protocol.keys import PrivateKey
from tests.unit.device.updates.making import KEY, desired_of, make_bundle, place, want_of

pytestmark = pytest.mark.provisioning


def key_of(key_id: str) -> Any:
    return KEY.public() if key_id == KEY.key_id else None


@pytest.mark.parametrize(
    ("status", "headers", "have", "judged"),
    [
        (200, {"content-length": "1000"}, 0, Take(0, 1000)),
        (200, {}, 0, Take(0, 1000)),
        (200, {"content-length": "1000"}, 400, Take(0, 1000)),
        (206, {"content-range": "bytes 400-999/1000"}, 400, Take(400, 600)),
        (206, {"content-range": "bytes 400-499/1000"}, 400, Take(400, 100)),
        (206, {"content-range": "bytes 0-999/1000"}, 400, Later("door_answer", is_anew=True)),
        (206, {"content-range": "bytes 400-999/*"}, 400, Later("door_answer", is_anew=True)),
        (206, {"content-range": "bytes 400-1000/1000"}, 400, Later("door_answer", is_anew=True)),
        (206, {}, 400, Later("door_answer", is_anew=True)),
        (206, {"content-range": "bytes 400-1099/1100"}, 400, Later("other_size", is_anew=True)),
        (200, {"content-length": "1100"}, 400, Later("other_size", is_anew=True)),
        (416, {}, 400, Later("other_size", is_anew=True)),
        (404, {}, 400, Later("not_there")),
        (403, {}, 0, Later("not_allowed")),
        (302, {"location": "https://elsewhere"}, 0, Later("door_answer")),
        (503, {}, 400, Later("door_answer")),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], have: int, judged: object) -> None:
    assert judge_answer(status, headers, have=have, size=1000) == judged


def test_all_of_it_is_asked_for_or_from_a_byte_on() -> None:
    assert "Range" not in request_headers(0)
    assert request_headers(17)["Range"] == "bytes=17-"


def test_the_head_is_looked_at_as_soon_as_it_is_there_and_not_before() -> None:
    bundle = make_bundle(files=40)
    want = want_of(bundle)
    seen = [check_head(bundle[:count], want, place(), key_of=key_of) for count in range(0, len(bundle), 400)]
    first = next(index for index, found in enumerate(seen) if found is not None)
    assert 0 < first * 400 < 12_000, "the manifest is far shorter than the files"
    assert all(found is not None and found.bundle_id == want.bundle_id for found in seen[first:])


@pytest.mark.parametrize(
    ("bundle", "changes", "why"),
    [
        (make_bundle(machine="x86_64"), {}, "other_machine"),
        (make_bundle(python="3.9"), {}, "other_python"),
        (make_bundle(3), {"floors": {BundleKind.NETWORKS: 4}}, "too_old"),
        (make_bundle(needs=({"kind": "app", "number": 7},)), {}, "needs_newer"),
        (make_bundle(), {"now": datetime(2028, 1, 1, tzinfo=UTC)}, "expired"),
        (make_bundle(key=PrivateKey.generate()), {}, "signature"),
        (b"<html>please sign in</html>" * 50, {}, "not_a_bundle"),
        (b"lifecert-bundle 1 9999999999\n" + b"x" * 900, {}, "not_a_bundle"),
    ],
)
def test_a_head_that_is_not_to_be_taken(bundle: bytes, changes: dict[str, Any], why: str) -> None:
    want = want_of(make_bundle(3)) if why in ("signature", "not_a_bundle") else want_of(bundle)
    with pytest.raises(ProtocolError) as caught:
        check_head(bundle, want, place(**changes), key_of=key_of)
    assert why_refused(caught.value) == why


def test_a_lost_clock_makes_nothing_expire() -> None:
    bundle = make_bundle()
    assert check_head(bundle, want_of(bundle), place(now=None), key_of=key_of) is not None


@pytest.mark.parametrize("change", [{"number": 9}, {"size": 1}, {"bundle_id": "0" * 64}])
def test_another_bundle_than_the_one_asked_for(change: dict[str, Any]) -> None:
    bundle = make_bundle(3)
    want = want_of(bundle).model_copy(update=change)
    with pytest.raises(ProtocolError) as caught:
        check_head(bundle, want, place(), key_of=key_of)
    assert why_refused(caught.value) == "other_bundle"


def test_what_a_bundle_needs_may_come_with_it() -> None:
    app = want_of(make_bundle(7, kind=BundleKind.APP))
    bundle = make_bundle(needs=({"kind": "app", "number": 7},))
    there = place_for(desired_of(1, app, want_of(bundle)), place(running={BundleKind.APP: 3}))
    assert there.running == {BundleKind.APP: 7, BundleKind.NETWORKS: 1}
    assert check_head(bundle, want_of(bundle), there, key_of=key_of) is not None


def test_bytes_are_spread_over_time_and_a_pause_is_worth_a_second() -> None:
    bucket = Bucket(1000, 0.0)
    now = waited = 0.0
    for _ in range(50):
        wait = bucket.take(100, now)
        waited += wait
        now += wait
    assert waited == pytest.approx(4.0)
    assert bucket.take(1000, now + 3600) == 0.0
    assert bucket.take(500, now + 3600) == pytest.approx(0.5)
