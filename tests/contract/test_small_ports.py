"""What every clock, prompter, policy store, signer and source of randomness must do."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.clock_system import Readings, SystemClock
from device.adapters.entropy_system import SystemEntropy
from device.adapters.policy_file import FilePolicyStore
from device.adapters.prompter_text import TextPrompter
from device.adapters.signer_keyfile import KeyfileSigner
from device.adapters.voice_alsa.pack import VoicePack, shipped_folders
from device.adapters.voice_alsa.prompter import VoicePrompter
from device.app.prompting import AllPrompters
from device.ports import Clock, Entropy, PolicyStore, Prompter, Signer
from device.session.commands import Line
from device.simulated.camera import HeardPrompter
from device.simulated.clock import FastClock, SteppedClock
from device.simulated.entropy import SeededEntropy
from device.simulated.loudspeaker import SimulatedLoudspeaker
from device.simulated.stores import FixedPolicy, ThrowAwaySigner
from protocol.envelope import sign, verify
from protocol.errors import ProtocolError, SignatureInvalid
from protocol.keys import PrivateKey
from protocol.policy import POLICY_TYP, default_policy

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
FLEET = PrivateKey.generate()


@dataclass
class Kernel:
    """Time that passes when it is read."""

    readings: Readings

    def __call__(self) -> Readings:
        self.readings = replace(
            self.readings,
            monotonic_ns=self.readings.monotonic_ns + 1000,
            wall_clock=self.readings.wall_clock + timedelta(microseconds=1),
        )
        return self.readings


@pytest.fixture(params=["system", "stepped", "fast", "held"])
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> Clock:
    system = SystemClock(
        tmp_path / "time.json", read=Kernel(Readings("a" * 32, 1_000_000, T0, 0.5, rtc_set_clock=False))
    )
    clocks: dict[str, Clock] = {"system": system, "stepped": SteppedClock(T0), "fast": FastClock(system)}
    clocks["held"] = FastClock(system, is_held=True)
    return clocks[request.param]


def test_time_does_not_run_backwards_and_is_of_one_boot(clock: Clock) -> None:
    ticks = [clock.monotonic_ns() for _ in range(5)]
    assert ticks == sorted(ticks)
    first, second = clock.now(), clock.now()
    assert first.boot_id == second.boot_id
    assert first.monotonic_ns <= second.monotonic_ns
    assert first.wall_clock <= second.wall_clock
    assert first.wall_clock.tzinfo is not None


def test_of_the_fleets_signed_moments_the_newest_is_kept(clock: Clock) -> None:
    assert clock.now().last_fleet_time is None
    clock.note_fleet_time(T0)
    clock.note_fleet_time(T0 + timedelta(hours=1), after_ns=clock.monotonic_ns())
    clock.note_fleet_time(T0 - timedelta(hours=1))
    assert clock.now().last_fleet_time == T0 + timedelta(hours=1)


def voice() -> VoicePrompter:
    packs = [VoicePack.open(folder) for folder in shipped_folders()]
    return VoicePrompter(packs, SimulatedLoudspeaker(), ["zh"])


def text() -> TextPrompter:
    return TextPrompter(io.StringIO(), ["zh"])


PROMPTERS: dict[str, Callable[[], Prompter]] = {
    "voice": voice,
    "text": text,
    "heard": HeardPrompter,
    "all": lambda: AllPrompters(HeardPrompter(), text(), voice()),
}


@pytest.fixture(params=PROMPTERS)
def prompter(request: pytest.FixtureRequest) -> Iterator[Prompter]:
    made = PROMPTERS[request.param]()
    yield made
    made.stop()


@pytest.mark.parametrize("line", [Line.TURN_LEFT, Line.OPEN_MOUTH, Line.CERTIFIED])
def test_a_lines_length_is_known_stays_the_same_and_has_a_bound(prompter: Prompter, line: Line) -> None:
    length_s = prompter.length_s(line)
    assert 0.0 <= length_s < 30.0
    assert prompter.length_s(line) == length_s
    prompter.say(line)
    assert prompter.length_s(line) == length_s


def test_a_line_takes_as_long_as_the_languages_and_the_speed_in_force_make_it(prompter: Prompter) -> None:
    once = prompter.length_s(Line.OPEN_MOUTH)
    prompter.use("xx", is_slow=False)
    assert prompter.length_s(Line.OPEN_MOUTH) == once, "a language nobody has changes nothing"
    prompter.use("zh", is_slow=True)
    slow = prompter.length_s(Line.OPEN_MOUTH)
    prompter.use("en", is_slow=False)
    other = prompter.length_s(Line.OPEN_MOUTH)
    assert (slow > once, other != once) == ((True, True) if once else (False, False))
    prompter.use(None, is_slow=False)
    assert prompter.length_s(Line.OPEN_MOUTH) == once, "the usual ones again"


def test_what_is_there_at_once_takes_no_time_and_all_together_take_as_long_as_the_slowest() -> None:
    found = {name: make().length_s(Line.OPEN_MOUTH) for name, make in PROMPTERS.items()}
    assert found["text"] == found["heard"] == 0.0
    assert found["all"] == found["voice"] > 1.0


@pytest.fixture(params=["file", "fixed"])
def policies(request: pytest.FixtureRequest, tmp_path: Path) -> PolicyStore:
    known = default_policy().model_copy(update={"issued_at": T0})
    if request.param == "fixed":
        return FixedPolicy(known)
    store = FilePolicyStore(tmp_path / "policy.jws", FLEET.public())
    store.apply(sign(known.to_bytes(), key=FLEET, typ=POLICY_TYP))
    return store


@pytest.mark.parametrize("token", [b"", b"a.b.c", sign(b"{}", key=FLEET, typ=POLICY_TYP)])
def test_what_is_no_policy_is_refused_and_the_one_in_force_stays(policies: PolicyStore, token: bytes) -> None:
    before = policies.current()
    with pytest.raises(ProtocolError):
        policies.apply(token)
    assert before is not None
    assert policies.current() == before


def test_another_keys_policy_is_refused(policies: PolicyStore) -> None:
    newer = default_policy().model_copy(update={"policy_version": "other", "issued_at": T0 + timedelta(days=1)})
    with pytest.raises(ProtocolError):
        policies.apply(sign(newer.to_bytes(), key=PrivateKey.generate(), typ=POLICY_TYP))
    found = policies.current()
    assert found is not None
    assert found.policy_version != "other"


@pytest.fixture(params=["keyfile", "thrown away"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Signer, PrivateKey]:
    if request.param == "keyfile":
        key = PrivateKey.generate()
        key.save(tmp_path / "signing.pem")
        return KeyfileSigner(tmp_path / "signing.pem"), key
    made = ThrowAwaySigner()
    return made, made._key


def test_what_is_signed_holds_under_the_key_it_names_for_its_type_only(signer: tuple[Signer, PrivateKey]) -> None:
    signs, key = signer
    token = signs.sign(b"payload", "some-type")
    named: list[str] = []
    found = verify(token, key_of=lambda kid: named.append(kid) or key.public(), typ="some-type")  # type: ignore[func-returns-value]  # notes the name
    assert found.payload == b"payload"
    assert named == [signs.key_id] == [key.key_id]
    with pytest.raises(ProtocolError):
        verify(token, key_of=lambda _: key.public(), typ="another-type")
    with pytest.raises(SignatureInvalid):
        verify(token, key_of=lambda _: PrivateKey.generate().public(), typ="some-type")


@pytest.fixture(params=["system", "seeded"])
def entropy(request: pytest.FixtureRequest) -> Entropy:
    return SystemEntropy() if request.param == "system" else SeededEntropy(7)


@pytest.mark.parametrize("size", [0, 1, 16, 1000])
def test_a_token_has_the_size_that_was_asked_for(entropy: Entropy, size: int) -> None:
    assert len(entropy.token(size)) == size


def test_tokens_differ(entropy: Entropy) -> None:
    assert len({entropy.token(16) for _ in range(1000)}) == 1000
