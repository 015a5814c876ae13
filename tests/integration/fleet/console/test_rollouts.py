"""The pages of roll-outs, bundles and settings: two persons start, whoever looks sees how far it is, and nothing is done by accident."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from fleet.store import desired, rollouts
from fleet.store.areas import Area, save_areas
from fleet.updates.bundles import add_bundle, bundle_folder
from fleet.updates.driver import RolloutDriver
from protocol.bundle import BundleFile, BundleKind, BundleManifest, write_bundle
from protocol.desired import ComingBundle, EndedTrial, ReportedState, RunningBundle, SettingValues
from protocol.keys import PrivateKey
from tests.integration.fleet.test_rollouts import send_presence

pytestmark = pytest.mark.integration
PLAN = {"shares": "50 100", "soak_hours": "0", "canary_count": "1", "reason": "The new networks"}
PATH = "/terminals/-/rollouts"


@dataclass
class Desk:
    """The office, its terminals, and two administrators."""

    office: Any
    terminals: dict[str, Any]
    bundle_id: str
    first: Any
    second: Any

    def make(self, **fields: str) -> str:
        answer = self.first.send_form(f"{PATH}/new", {"what": "bundle", "bundle": self.bundle_id, **PLAN, **fields})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"].split("?")[0])

    def start(self, path: str) -> None:
        for client in (self.first, self.second):
            answer = client.send_form(f"{path}/start", {"reason": "I looked at it"})
            assert answer.status_code == 303, answer.text

    def wanted(self) -> dict[str, Any]:
        with self.office.database.begin() as connection:
            return {name: each.wanted for name, each in desired.find_desired(connection).items()}

    def turn(self) -> None:
        zone = self.office.settings.zone()
        RolloutDriver(
            self.office.database, self.office.keys.cipher, door=None, zone=zone, clock=self.office.clock
        ).turn()

    def say(self, name: str, **reported: Any) -> None:
        send_presence(self.office, self.terminals[name], ReportedState(**reported))


@pytest.fixture
def desk(office: Any, make_fleet_terminal: Callable[..., Any], sign_in: Callable[..., Any], tmp_path: Any) -> Desk:
    with office.database.begin() as connection:
        save_areas(connection, [Area("east", None, 1, "东区"), Area("west", None, 1, "西区")])
    made = {}
    for name, area in (("t-1", "east"), ("t-2", "east"), ("t-3", "west")):
        made[name] = make_fleet_terminal(terminal_id=name)
        office.register(made[name], area=area)
    body, key = b"network", PrivateKey.generate()
    manifest = BundleManifest(
        kind=BundleKind.NETWORKS,
        label="2026.11",
        number=7,
        floor=5,
        made_at=office.now,
        expires_at=office.now + timedelta(days=90),
        files=(BundleFile(name="a.bin", size=len(body), sha256=sha256(body).hexdigest()),),
    )
    with (tmp_path / "a.bundle").open("wb") as target:
        write_bundle(target, manifest, [io.BytesIO(body)], key=key)
    bundle = add_bundle(
        office.database,
        office.keys.cipher,
        tmp_path / "a.bundle",
        bundle_folder(tmp_path),
        key_of=lambda _: key.public(),
        by="Li Na",
        now=office.now,
    )
    administrators = [sign_in("fleet_administrator", name=name) for name in ("Qiao", "Wei")]
    return Desk(office, made, bundle.bundle_id, *administrators)


def test_two_persons_start_it_and_the_page_tells_how_far_it_is(desk: Desk) -> None:
    path = desk.make()
    asked = desk.first.send_form(f"{path}/start", {"reason": "I looked", "meant": ""})
    assert "You are about to say that Networks 7 (2026.11) may go to 3 terminals" in asked.text
    assert desk.wanted() == {}
    answer = desk.first.send_form(f"{path}/start", {"reason": "I looked"})
    assert "rollout_approved" in answer.headers["location"]
    again = desk.first.send_form(f"{path}/start", {"reason": "I looked"})
    assert (again.status_code, "another person must" in again.text) == (409, True)
    assert desk.wanted() == {}
    assert "rollout_started" in desk.second.send_form(f"{path}/start", {"reason": "me too"}).headers["location"]
    (canary,) = desk.wanted()
    coming = ComingBundle(kind=BundleKind.NETWORKS, bundle_id=desk.bundle_id, received=3, state="fetching")
    desk.say(canary, desired_number=1, coming=(coming,))
    page = desk.first.get(f"/terminals/{canary}").text
    assert "Networks" in page
    assert "being fetched" in page
    running = RunningBundle(kind=BundleKind.NETWORKS, bundle_id=desk.bundle_id, number=7, label="2026.11")
    desk.say(canary, desired_number=1, running=(running,))
    desk.turn()
    page = desk.first.get(path).text
    assert "up to 50 %" in page
    assert 'hx-get="' + path + '/progress?poll=1"' in page
    assert "as asked" in desk.first.get(f"/terminals/{canary}").text
    shown = desk.first.get(f"{path}/progress", headers={"HX-Request": "true"}).text
    assert "canary group" in shown
    assert "<html" not in shown
    bundles = desk.first.get("/terminals/-/bundles").text
    assert "7 2026.11" in bundles
    assert "Li Na" in bundles


def test_a_word_can_be_taken_back_before_the_second(desk: Desk) -> None:
    path = desk.make()
    desk.first.send_form(f"{path}/start", {"reason": "I looked"})
    assert "/words/take-back" in desk.first.get(path).text
    form = {"kind": "rollout", "object_id": path.rsplit("/", 1)[1], "back": path}
    assert "word_taken_back" in desk.first.send_form("/words/take-back", form).headers["location"]
    desk.second.send_form(f"{path}/start", {"reason": "me"})
    assert desk.wanted() == {}


def test_it_is_paused_gone_on_with_and_turned_back_by_the_page(desk: Desk) -> None:
    path = desk.make(canary="t-1 t-2")
    desk.start(path)
    assert set(desk.wanted()) == {"t-1", "t-2"}
    for step, done in (("pause", "rollout_paused"), ("resume", "rollout_resumed")):
        assert done in desk.first.send_form(f"{path}/{step}").headers["location"]
        assert desk.first.send_form(f"{path}/{step}").status_code == 409
    assert "rollout_left_out" in desk.first.send_form(f"{path}/leave-out", {"terminal": "t-2"}).headers["location"]
    assert desk.first.send_form(f"{path}/leave-out", {"terminal": "t-2"}).status_code == 409
    ended = EndedTrial(kind=BundleKind.NETWORKS, bundle_id=desk.bundle_id, is_kept=False, why="unhealthy")
    desk.say("t-1", desired_number=1, ended=(ended,))
    desk.turn()
    assert "went back" in desk.first.get(path).text
    shown = desk.first.get(f"{path}?standing=went_back").text
    assert '"/terminals/t-1#updates"' in shown
    assert "its examination failed" in shown
    assert '"/terminals/t-2#updates"' not in desk.first.get(f"{path}?standing=went_back").text
    asked = desk.first.send_form(f"{path}/abort", {"meant": ""})
    assert "1 terminal was asked and 0 run it" in asked.text
    assert "rollout_aborted" in desk.first.send_form(f"{path}/abort").headers["location"]
    assert all(each.is_nothing for each in desk.wanted().values())
    assert "turned back" in desk.first.get(PATH).text


def test_the_page_says_why_each_terminal_does_not_run_it(desk: Desk, sign_in: Callable[..., Any]) -> None:
    path = desk.make(canary="t-1 t-2 t-3")
    desk.start(path)

    def refuses(name: str, why: str) -> None:
        coming = ComingBundle(kind=BundleKind.NETWORKS, bundle_id=desk.bundle_id, received=3, state="refused", why=why)
        desk.say(name, desired_number=1, coming=(coming,))

    refuses("t-1", "too_old")
    refuses("t-2", "a_word_of_later")
    coming = ComingBundle(kind=BundleKind.NETWORKS, bundle_id=desk.bundle_id, received=3, state="waiting", why="room")
    desk.say("t-3", desired_number=1, coming=(coming,))
    desk.turn()
    page = desk.first.get(path).text
    assert "below what it still takes" in page
    assert "a_word_of_later" in page
    assert "for room" not in page
    in_chinese = sign_in("fleet_administrator", name="Lan", language="zh").get(path).text
    assert "低于最低编号" in in_chinese


def test_settings_of_an_area_go_by_phases_and_of_a_terminal_at_once(desk: Desk) -> None:
    answer = desk.first.send_form(
        f"{PATH}/new", {"what": "settings", "area": "东区", "uplink_window": "20", "voice_slow": "true", **PLAN}
    )
    path = answer.headers["location"].split("?")[0]
    page = desk.first.get(path).text
    assert "Messages on their way at a time" in page
    assert "rollout_started" in desk.first.send_form(f"{path}/start", {"reason": "thin links"}).headers["location"]
    (canary,) = desk.wanted()
    assert desk.wanted()[canary].settings == SettingValues(uplink_window=20, voice_slow=True)
    # One terminal's own: the differences are looked at first, and a form of before is not carried out.
    own = {"uplink_window": "5", "version": "0", "reason": "thinner"}
    asked = desk.first.send_form(f"/terminals/{canary}/settings", {**own, "meant": ""})
    assert "20 → 5" in asked.text
    assert desk.wanted()[canary].settings.uplink_window == 20
    assert desk.first.send_form(f"/terminals/{canary}/settings", own).status_code == 303
    assert desk.wanted()[canary].settings == SettingValues(uplink_window=5, voice_slow=True)
    assert desk.first.send_form(f"/terminals/{canary}/settings", own).status_code == 303
    other = desk.second.send_form(f"/terminals/{canary}/settings", {**own, "uplink_window": "6"})
    assert (other.status_code, "were changed meanwhile" in other.text) == (409, True)
    wrong = desk.first.send_form(f"/terminals/{canary}/settings", {**own, "version": "1", "voice_volume": "9"})
    assert (wrong.status_code, "a number from 0 to 1" in wrong.text) == (422, True)
    page = desk.first.get(f"/terminals/{canary}/settings").text
    assert re.search(r"Messages on their way at a time</th><td[^>]*>20</td><td[^>]*>5</td>", page)
    assert f'"/terminals/{canary}/settings"' in desk.first.get("/terminals/-/settings").text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shares": "5 50"}, "shares grow"),
        ({"shares": "five"}, "shares grow"),
        ({"from_hour": "3"}, "shares grow"),
        ({"lost_hours": "x"}, "shares grow"),
        ({"area": "nowhere"}, "no area"),
        ({"canary": "t-9"}, "t-9 of the canary group"),
        ({"bundle": "f" * 64}, "no such bundle"),
        ({"reason": ""}, "Write down why"),
    ],
)
def test_what_was_typed_wrong_is_said_and_kept(desk: Desk, fields: dict[str, str], says: str) -> None:
    sent = {"what": "bundle", "bundle": desk.bundle_id, **PLAN, **fields}
    answer = desk.first.send_form(f"{PATH}/new", sent)
    assert answer.status_code in (409, 422)
    assert says in answer.text
    with desk.office.database.begin() as connection:
        assert rollouts.newest_rollouts(connection, limit=1) == []


def test_one_is_under_way_and_a_terminal_of_elsewhere_is_not_there(desk: Desk, sign_in: Callable[..., Any]) -> None:
    desk.make(area="east")
    other = desk.first.send_form(f"{PATH}/new", {"what": "bundle", "bundle": desk.bundle_id, **PLAN})
    assert (other.status_code, "is not over" in other.text) == (409, True)
    east = sign_in("area_administrator", area="east", name="Hong")
    assert east.get(PATH).status_code == 403
    assert east.get("/terminals/t-1/settings").status_code == 200
    assert east.get("/terminals/t-3/settings").status_code == 404
    answer = east.send_form("/terminals/t-3/settings", {"version": "0", "uplink_window": "5", "reason": "x"})
    assert answer.status_code == 404
    assert (
        east.send_form("/terminals/t-1/settings", {"version": "0", "uplink_window": "5", "reason": "x"}).status_code
        == 303
    )
    viewer = sign_in("viewer", name="Ke")
    assert viewer.get(PATH).status_code == 200
    assert viewer.send_form(f"{PATH}/new").status_code == 403


def test_the_pages_are_read_in_chinese(desk: Desk, sign_in: Callable[..., Any]) -> None:
    path = desk.make()
    desk.start(path)
    (canary,) = desk.wanted()
    client = sign_in("fleet_administrator", name="Lan", language="zh")
    pages = (path, PATH, f"{PATH}/new", f"{PATH}/new?settings=1", "/terminals/-/bundles", "/terminals/-/settings")
    for address in (*pages, f"/terminals/{canary}", f"/terminals/{canary}/settings"):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert re.search(r"下发|设置", answer.text), address
