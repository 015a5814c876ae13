"""The fetcher against a door that is scripted, in time that is stepped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device.errors import LinkDown
from device.settings import Broker
from device.simulated.stores import MemoryDesired
from device.updates.marks import Fetch, Marks
from device.updates.shelf import Shelf
from device.uplink.downloads import Fetcher, HttpsDoor
from protocol.bundle import BundleKind
from protocol.desired import DESIRED_TYP, DesiredBundle
from protocol.envelope import sign
from protocol.keys import PrivateKey
from tests.unit.device.updates.making import KEY, desired_of, make_bundle, moment, place, settings_in, want_of

pytestmark = pytest.mark.provisioning

FLEET = PrivateKey.generate()


class Pieces:
    """An answer that comes in pieces, and may break off."""

    def __init__(
        self, status: int, data: bytes, *, start: int = 0, total: int | None = None, cut: bool = False
    ) -> None:
        total = len(data) if total is None else total
        self.status = status
        self.headers = {"content-length": str(len(data))}
        if status == 206:
            self.headers["content-range"] = f"bytes {start}-{start + len(data) - 1}/{total}"
        self._data = data
        self._cut = cut

    def read(self, count: int) -> bytes:
        piece, self._data = self._data[:count], self._data[count:]
        if not piece and self._cut:
            raise LinkDown("broken off")
        return piece


class ScriptedDoor:
    """Gives the answers of a script, one a request; each is made of what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.script: list[Any] = []

    @contextmanager
    def get(self, url: str, path: str, headers: Mapping[str, str]) -> Iterator[Pieces]:
        start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.asked.append((path, start))
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield answer(start) if callable(answer) else answer


class World:
    def __init__(self, folder: Path, **updates: Any) -> None:
        limits = {"bytes_per_s": 1024**3, "retry_base_s": 10, "retry_cap_s": 1000, **updates}
        self.settings = settings_in(folder, **limits)
        self.desired, self.door = MemoryDesired(), ScriptedDoor()
        self.keys = {KEY.key_id: KEY.public()}
        self.shelf = Shelf(
            self.settings.updates_dir,
            spare_bytes=self.settings.updates.spare_bytes,
            key_of=lambda kid: self.keys.get(kid),
        )
        self.now_s = 0.0
        self.moment = moment()
        self.place = place()
        self.fetcher = Fetcher(
            self.settings,
            self.desired,
            self.shelf,
            self.door,
            place=lambda: self.place,
            now=lambda: self.moment,
            key_of=lambda kid: self.keys.get(kid),
            fraction=lambda: 0.5,
            clock_s=lambda: self.now_s,
        )

    def want(self, number: int, *wants: DesiredBundle, door: str | None = "https://door.example") -> None:
        message = desired_of(number, *wants, door=door)
        self.desired.apply(sign(message.to_bytes(), key=FLEET, typ=DESIRED_TYP))

    def go(self, seconds: float = 0) -> float:
        """Let time pass and do a step; return how long it would wait."""
        self.now_s += seconds
        return self.fetcher.step()

    def stands(self, want: DesiredBundle) -> Fetch:
        fetches = self.fetcher.fetches()
        assert Marks(self.settings.updates_dir).fetches() == fetches, "what whoever asks at the terminal is told"
        return fetches[want.bundle_id]


def ranges(bundle: bytes, *, upto: int | None = None) -> Any:
    """Answer with what was asked for, or a part of it."""

    def answer(start: int) -> Pieces:
        data = bundle[start:upto]
        if start:
            return Pieces(206, data, start=start, total=len(bundle), cut=upto is not None)
        found = Pieces(200, data, cut=upto is not None)
        found.headers["content-length"] = str(len(bundle))
        return found

    return answer


BUNDLE = make_bundle(2, files=60)
WANT = want_of(BUNDLE)


def test_what_is_wanted_is_fetched_in_pieces_and_gone_on_with_after_every_cut(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.want(1, WANT)
    cuts = [1, 20, 500, 30_000, 100_000]
    world.door.script = [*(ranges(BUNDLE, upto=cut) for cut in cuts), ranges(BUNDLE)]
    for _ in range(len(cuts)):
        world.go(1000)
        assert world.stands(WANT) == Fetch("waiting", "link")
    world.go(1000)
    assert [start for _, start in world.door.asked] == [0, *cuts]
    assert {path for path, _ in world.door.asked} == {f"/provisioning/v1/bundles/{WANT.bundle_id}"}
    assert world.shelf.whole(WANT).read_bytes() == BUNDLE
    assert world.go() > 0
    assert len(world.door.asked) == len(cuts) + 1, "what is here is not asked for"


def test_a_program_that_was_ended_goes_on_where_the_one_before_it_was(tmp_path: Path) -> None:
    first = World(tmp_path)
    first.want(1, WANT)
    first.door.script = [ranges(BUNDLE, upto=50_000)]
    first.go()
    second = World(tmp_path)
    second.want(1, WANT)
    second.door.script = [ranges(BUNDLE)]
    second.go()
    assert [start for _, start in second.door.asked] == [50_000]
    assert second.shelf.is_whole(WANT)


@pytest.mark.parametrize(
    ("bad", "why", "then"),
    [
        (Pieces(503, b""), "door_answer", 40_000),
        (Pieces(404, b""), "not_there", 40_000),
        (LinkDown("no answer"), "link", 40_000),
        (Pieces(206, BUNDLE[10:], start=10, total=len(BUNDLE)), "door_answer", 0),
        (Pieces(206, b"x" * 100, start=40_000, total=99), "door_answer", 0),
        (Pieces(206, BUNDLE[40_000:] + b"x", start=40_000, total=len(BUNDLE) + 1), "other_size", 0),
        (Pieces(416, b""), "other_size", 0),
        (Pieces(200, b"<html>".ljust(len(BUNDLE))), "not_a_bundle", 0),
        (Pieces(206, b"\0" * (len(BUNDLE) - 40_000), start=40_000, total=len(BUNDLE)), "other_file", 0),
    ],
)
def test_a_wrong_answer_is_not_gone_on_with_and_not_asked_for_hotly(
    tmp_path: Path, bad: Any, why: str, then: int
) -> None:
    world = World(tmp_path)
    world.want(1, WANT)
    world.door.script = [ranges(BUNDLE, upto=40_000), bad, ranges(BUNDLE)]
    world.go()
    world.go(1000)
    assert world.stands(WANT) == Fetch("waiting", why)
    for _ in range(20):
        wait_s = world.go()
        assert wait_s > 0
    assert len(world.door.asked) == 2
    world.go(1000)
    assert world.door.asked[-1][1] == then
    assert world.shelf.is_whole(WANT)


def test_more_than_it_may_have_is_too_much(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.want(1, WANT)
    longer = Pieces(200, BUNDLE + b"x" * 100_000)
    longer.headers = {}
    world.door.script = [longer]
    world.go()
    assert world.stands(WANT) == Fetch("waiting", "too_long")
    assert world.shelf.received(WANT) == 0


def test_the_wait_grows_while_nothing_comes_and_is_short_again_when_something_did(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.want(1, WANT)
    waits = []
    for _ in range(12):
        world.door.script = [LinkDown("no answer")]
        world.go(2000)
        waits.append(world.fetcher._tries[WANT.bundle_id].due_s - world.now_s)
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (5.0, 10.0, 500.0)
    world.door.script = [ranges(BUNDLE, upto=40_000)]
    world.go(2000)
    assert world.fetcher._tries[WANT.bundle_id].due_s - world.now_s == 5.0


@pytest.mark.parametrize(
    ("bundle", "changes", "why"),
    [
        (make_bundle(2, files=60, machine="x86_64"), {}, "other_machine"),
        (make_bundle(2, files=60, python="3.9"), {}, "other_python"),
        (make_bundle(2, files=60), {"floors": {BundleKind.NETWORKS: 3}}, "too_old"),
    ],
)
def test_what_cannot_run_here_is_not_paid_for(tmp_path: Path, bundle: bytes, changes: dict[str, Any], why: str) -> None:
    world = World(tmp_path)
    world.place = place(**changes)
    want = want_of(bundle)
    world.want(1, want)
    answer = Pieces(200, bundle)
    world.door.script = [answer]
    world.go()
    assert world.stands(want) == Fetch("refused", why)
    assert len(answer._data) > len(bundle) / 2, "the rest was never read"
    assert world.shelf.received(want) == 0
    world.go(999)
    assert len(world.door.asked) == 1
    world.door.script = [Pieces(200, bundle)]
    world.go(2)
    assert len(world.door.asked) == 2, "once in a while it is looked again"


def test_a_release_key_may_come_later(tmp_path: Path) -> None:
    world = World(tmp_path)
    keys, world.keys = world.keys, {}
    world.want(1, WANT)
    world.door.script = [ranges(BUNDLE), ranges(BUNDLE)]
    world.go()
    assert world.stands(WANT) == Fetch("refused", "signature")
    world.keys = keys
    world.go(1001)
    assert world.shelf.is_whole(WANT)


def test_whoever_asks_at_the_terminal_is_told_while_it_is_fetched(tmp_path: Path) -> None:
    world = World(tmp_path)
    marks = Marks(world.settings.updates_dir)
    assert marks.fetches() == {}, "nothing was said yet"
    told = []

    def answer(start: int) -> Any:
        told.append(marks.fetches())
        return ranges(BUNDLE)(start)

    world.want(1, WANT)
    world.door.script = [answer]
    world.go()
    assert told == [{WANT.bundle_id: Fetch("fetching")}]
    (world.settings.updates_dir / "fetches.json").write_text('{"torn')
    assert marks.fetches() == {}


def test_it_waits_for_a_door_an_hour_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = moment().wall_clock.astimezone().hour
    world = World(tmp_path, from_hour=(here + 2) % 24, until_hour=(here + 4) % 24)
    world.want(1, WANT, door=None)
    world.go()
    assert world.stands(WANT) == Fetch("waiting", "stick")
    world.want(2, WANT)
    world.go()
    assert world.stands(WANT) == Fetch("waiting", "hour")
    world.moment = moment(wall_clock="1970-01-01T00:00:00Z", source="none", uncertainty_s=None)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("device.updates.shelf.shutil.disk_usage", lambda _: usage._replace(free=WANT.size))
    world.go()
    assert world.stands(WANT) == Fetch("waiting", "room")
    assert world.door.asked == []
    monkeypatch.undo()
    world.door.script = [ranges(BUNDLE)]
    world.go()
    assert world.shelf.is_whole(WANT), "a clock that stands in 1970 has no hour"


def test_what_is_wanted_no_more_goes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.want(1, WANT)
    world.door.script = [ranges(BUNDLE, upto=40_000)]
    world.go()
    other = make_bundle(3)
    world.want(2, want_of(other))
    world.door.script = [ranges(other)]
    world.go()
    assert {path.name for path in world.settings.updates_dir.iterdir()} == {
        f"{want_of(other).bundle_id}.bundle",
        "fetches.json",
    }
    assert set(Marks(world.settings.updates_dir).fetches()) == {want_of(other).bundle_id}


def test_it_is_no_faster_than_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, bytes_per_s=16 * 1024)
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        world.now_s += seconds
        return False

    monkeypatch.setattr(world.fetcher._stop, "wait", wait)
    world.want(1, WANT)
    world.door.script = [ranges(BUNDLE)]
    world.go()
    assert world.shelf.is_whole(WANT)
    assert world.now_s == pytest.approx((len(BUNDLE) - 16 * 1024) / (16 * 1024), abs=0.01)


def test_a_stop_ends_it_between_two_pieces_and_what_came_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path, bytes_per_s=1024)
    world.want(1, WANT)
    world.door.script = [ranges(BUNDLE)]
    world.fetcher.stop()
    world.go()
    assert 0 < world.shelf.received(WANT) < len(BUNDLE)


def test_without_a_root_certificate_nobody_is_asked(tmp_path: Path) -> None:
    door = HttpsDoor(Broker(), now=lambda: moment().wall_clock)
    with pytest.raises(LinkDown, match="tls_ca"), door.get("https://door.example", "/x", {}):
        pytest.fail("there is an answer")
    (tmp_path / "root.pem").write_text("no certificate")
    door = HttpsDoor(Broker(tls_ca=tmp_path / "root.pem"), now=lambda: moment().wall_clock)
    with pytest.raises(LinkDown, match="certificates"), door.get("https://door.example", "/x", {}):
        pytest.fail("there is an answer")
