"""Settings of the terminal and of its uplink: one TOML file, read once at start into frozen models.

Every problem of a file is found in one reading and reported with file and key. Relative paths count from the folder of the
file. A secret is named by a path, or by `credential:NAME` for a file that systemd's `LoadCredential=` handed to the
service; its content never enters the settings and its path is not shown by `repr`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from device.errors import SettingsInvalid
from device.header import TAKEN, HeaderFunction
from protocol.ids import FleetId, TerminalId

_CREDENTIAL = "credential:"
_ONE_MIB: Final = 1024 * 1024


class SecretFile:
    """Where a secret lies; `repr` and `str` do not show it."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return "SecretFile(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretFile) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(repr),
        )

    @classmethod
    def _parse(cls, value: Any, info: core_schema.ValidationInfo) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or not value:
            raise ValueError("a path or credential:NAME expected")
        context = _context(info)
        if not value.startswith(_CREDENTIAL):
            return cls(context.folder / value)
        if context.credentials is None:
            raise ValueError("names a systemd credential, but the program was not started with any")
        return cls(context.credentials / value.removeprefix(_CREDENTIAL))


class _Context:
    """What the meaning of a path depends on."""

    __slots__ = ("credentials", "folder")

    def __init__(self, folder: Path, credentials: Path | None) -> None:
        self.folder = folder
        self.credentials = credentials


def _context(info: ValidationInfo | core_schema.ValidationInfo) -> _Context:
    found: Any = info.context
    return found if isinstance(found, _Context) else _Context(Path(), None)


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    return _context(info).folder / path


SettingsPath = Annotated[Path, AfterValidator(_from_folder)]
"""A path; relative ones count from the folder of the settings file."""


VoiceTag = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""A language tag. Source: RFC 5646."""


class Section(BaseModel):
    """A part of the settings: frozen, unknown keys refused.

    The lines under the fields are for `docs/build_settings.py`, which reads them from the source. pydantic would do so at every start of
    the terminal (`use_attribute_docstrings`), for a tenth of the time that all its imports take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Terminal(Section):
    """Who this terminal is, where its files are, and which networks it uses."""

    fleet_id: FleetId
    """The agency's installation, as the fleet names it; a level of every topic."""
    terminal_id: TerminalId
    """This terminal, as it was registered with the fleet; also its MQTT client identifier and certificate name."""
    data_dir: SettingsPath = Path("/var/lib/lifecert")
    """Folder for outbox, roster, policy and time; on the data partition, because the system partition may be read-only."""
    models_dir: SettingsPath = Path("/opt/lifecert/models")
    """Folder with the networks and their manifests."""
    features: str = "features_mobilefacenet"
    """Name of the feature network; references made by another one cannot be compared."""
    texture: SettingsPath | None = None
    """Manifest of the texture network; without it the one in `models_dir`, and where there is none that evidence is not run."""
    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = "auto"
    """Interpreter; `auto` takes the first that is installed, and the record names it."""
    languages: tuple[Literal["zh", "en"], ...] = Field(default=("zh",), min_length=1)
    """Languages of the prompts, in the order in which they are given; Mandarin first, because that is who comes."""
    voice_dirs: tuple[SettingsPath, ...] = ()
    """Folders of voice packs, recordings or dialects; the first one that has a line speaks it, and the shipped voices come last."""


class Keys(Section):
    """Files with the terminal's keys and the fleet's identity; `lifecert-provision identity` makes them."""

    signing: SecretFile = Field(default_factory=lambda: SecretFile(Path("/etc/lifecert/signing.pem")))
    """Private key (PEM, P-256) that signs records; readable by the service alone."""
    sealing: SecretFile = Field(default_factory=lambda: SecretFile(Path("/etc/lifecert/sealing.pem")))
    """Private key (PEM, P-256) that opens sealed rosters; only the uplink needs it."""
    storage: SecretFile = Field(default_factory=lambda: SecretFile(Path("/etc/lifecert/storage.key")))
    """32 secret bytes that encrypt the roster on the disk; made at first use where the folder can be written."""
    fleet: SettingsPath = Path("/etc/lifecert/fleet.json")
    """The fleet's identity with its public key, as `lifecert-provision accept-fleet` put it there."""


class Broker(Section):
    """The MQTT broker. Without `tls_ca` the connection is plain: for a broker on the same machine only."""

    host: str = Field(default="localhost", min_length=1)
    """Name or address of the broker; with TLS, the name its certificate must carry."""
    port: int = Field(default=1883, ge=1, le=65535)
    """TCP port; 8883 is the registered one for MQTT over TLS."""
    tls_ca: SettingsPath | None = None
    """Certificates (PEM) that vouch for the broker; set, the connection is TLS 1.2 or later."""
    tls_certificate: SettingsPath | None = None
    """This terminal's client certificate (PEM)."""
    tls_key: SecretFile | None = None
    """Private key (PEM) of the client certificate."""
    keep_alive_s: int = Field(default=30, ge=5, le=600)
    """MQTT keep alive: a dead link is seen after one and a half of it, and mobile networks drop idle links after a minute or two."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if self.tls_certificate is not None and self.tls_ca is None:
            raise ValueError("tls_certificate without tls_ca: a client certificate needs TLS")
        return self


class Camera(Section):
    """The picture source."""

    kind: Literal["picamera2", "simulated"] = "picamera2"
    """`simulated` plays the clips named in `[simulated]`; nothing it certifies has any meaning."""
    size: tuple[int, int] = (640, 480)
    """Width and height of the frames that are looked at; the networks were evaluated at this size. Larger ones see faces further away,
    or through a wider lens, and take more time."""
    still_size: tuple[int, int] = (1640, 1232)
    """Width and height of pictures that are kept as evidence. It chooses the sensor's mode, too: with this one Camera Modules 2 and 3 and
    the HQ camera show all they see at 30 frames/s. For Camera Module 1 set `[1296, 972]`, or it gives 15."""
    rotation: Literal[0, 180] = 0
    """Degrees by which the camera is mounted turned; 180 for one that hangs upside down, so that its cable leaves upwards."""
    lens_position: float | None = Field(default=None, ge=0, le=32)
    """Focus of a lens that moves (Camera Module 3), in dioptres: 1 divided by the distance in metres, 2 for half a metre. None: the
    camera focuses by itself."""
    sensor: str | None = None
    """Name of the sensor as the driver gives it, e.g. `imx708`; frames of another fail the capture path. None: any, as long as it stays."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        for name, (width, height) in (("size", self.size), ("still_size", self.still_size)):
            if width % 2 or height % 2 or not (320 <= width <= 4096 and 240 <= height <= 4096):
                raise ValueError(f"{name} is {width}x{height}: two even numbers from 320x240 to 4096x4096 expected")
        if self.size[0] > self.still_size[0] or self.size[1] > self.still_size[1]:
            raise ValueError(f"size {self.size} is larger than still_size {self.still_size}")
        return self


class Simulated(Section):
    """The stand-ins for camera and board, for a laptop, the demo and tests."""

    control_socket: SettingsPath | None = None
    """Unix socket on which the stand-ins take orders (press, present a claim, change the actor); none means nobody gives any."""
    actor: SettingsPath | None = None
    """Clip description of the person, print or screen in front of the simulated camera at start."""
    speed: Literal["real", "held", "fast"] = "real"
    """Whether a clip plays at its own rate and a slow computer misses frames of it, at its own rate but never faster than the networks take
    it, so that none is missed, or as fast as they take it."""
    entropy_seed: int | None = Field(default=None, ge=0)
    """Makes ids and challenges repeatable; a terminal with it set must not be trusted."""


class Board(Section):
    """The wiring: which BCM number of the 40-pin header leads where; no pin has two uses. [hardware.md](hardware.md) has a picture."""

    start_pin: int = Field(default=17, ge=2, le=27)
    """Start button, to ground."""
    repeat_pin: int = Field(default=27, ge=2, le=27)
    """Button that gives the last prompt again, to ground."""
    cancel_pin: int = Field(default=22, ge=2, le=27)
    """Cancel button, to ground."""
    red_pin: int = Field(default=12, ge=2, le=27)
    """Red of the status lamp, through a transistor; high is on."""
    green_pin: int = Field(default=13, ge=2, le=27)
    """Green of the status lamp."""
    blue_pin: int = Field(default=16, ge=2, le=27)
    """Blue of the status lamp."""
    ring_left_pin: int = Field(default=25, ge=2, le=27)
    """Half of the ring light on the subject's own left. Best a pin from 9 on: those are held low while the board starts, 0 to 8 high."""
    ring_right_pin: int = Field(default=26, ge=2, le=27)
    """Half of the ring light on the subject's own right."""
    presence_pin: int = Field(default=23, ge=2, le=27)
    """Output of the presence sensor."""
    presence: Literal["none", "high", "low"] = "none"
    """Level of that output while somebody is there. `none`: there is no sensor."""
    power_fail_pin: int = Field(default=24, ge=2, le=27)
    """Output of the uninterruptible supply that tells of mains power."""
    power_fail: Literal["none", "high", "low"] = "none"
    """Level of that output while mains power is gone. `none`: there is no such supply."""
    functions: tuple[HeaderFunction, ...] = ("i2c", "uart", "spi", "i2s")
    """What else the header is used for: the clock (`i2c`), a serial console (`uart`), a display (`spi`), a sound amplifier (`i2s`). Their
    pins are refused; the defaults leave them all free. Shorten the list to get their pins."""
    other_pins: tuple[int, ...] = ()
    """Further BCM numbers that something else uses, an overlay in config.txt or an add-on board."""

    def pins(self) -> dict[str, int]:
        """Return the BCM number of each key that names one."""
        return {key: getattr(self, key) for key in type(self).model_fields if key.endswith("_pin")}

    @model_validator(mode="after")
    def _each_pin_has_one_use(self) -> Self:
        uses: dict[int, list[str]] = {}
        for key, pin in self.pins().items():
            uses.setdefault(pin, []).append(key)
        for pin, keys in uses.items():
            keys.extend(f"functions: {name}" for name in self.functions if pin in TAKEN[name])
            keys.extend(["other_pins"] * (pin in self.other_pins))
        twice = [f"GPIO {pin} is {' and '.join(keys)}" for pin, keys in sorted(uses.items()) if len(keys) > 1]
        if twice:
            raise ValueError(f"two functions on one pin: {'; '.join(twice)}")
        return self


class Panel(Section):
    """Status lamp, buttons, presence sensor and power-fail input: whether there are any, and how long a level must last to count."""

    kind: Literal["gpiozero", "simulated"] = "gpiozero"
    """`simulated` takes its presses from the control socket."""
    debounce_s: float = Field(default=0.05, ge=0.001, le=1)
    """A button is pressed, and released, once its contact kept still this long; push buttons bounce for some milliseconds."""
    stuck_s: float = Field(default=20, ge=0.1, le=600)
    """A button that stays closed, or never comes to rest, for this long is reported as stuck and ignored until it is free. Longer than
    somebody leans on it who is not sure that it was heard."""
    present_after_s: float = Field(default=0.5, ge=0, le=60)
    """The sensor must see somebody this long; who only walks past is not greeted."""
    absent_after_s: float = Field(default=10, ge=0, le=600)
    """The sensor must see nobody this long; heat sensors lose sight of who sits still."""
    power_failing_after_s: float = Field(default=0.5, ge=0, le=60)
    """Mains power must be gone this long; supplies report the moment of switching over, too."""
    power_back_after_s: float = Field(default=10, ge=0, le=600)
    """Mains power must be back this long; after an outage it often comes and goes."""


class Position(Section):
    """The position receiver that stamps a visit with its place."""

    kind: Literal["nmea", "none"] = "none"
    """`none`: a visit has the place that the worker chose."""
    device: SettingsPath = Path("/dev/ttyACM0")
    """Device file of a receiver that speaks NMEA 0183: `/dev/ttyACM0` for USB, `/dev/serial0` for the header."""
    baud: Literal[4800, 9600, 38400, 115200] = 9600
    """Speed of a serial receiver; one on USB ignores it."""


class Screen(Section):
    """The screen: a page for a kiosk browser on this machine, see `docs/screen.md`."""

    kind: Literal["web", "none"] = "none"
    """`none`: voice, lamp and buttons alone."""
    port: int = Field(default=8088, ge=0, le=65535)
    """TCP port on the loopback address, where systemd does not pass a socket in; 0 takes a free one."""


class Readers(Section):
    """Readers of cards and codes that type like a keyboard."""

    devices: tuple[SettingsPath, ...] = ()
    """Device files, best by `/dev/input/by-id/`; each is taken away from everything else, so a keyboard for people must not be named."""


class RingLight(Section):
    """The white light around the lens, in two halves."""

    kind: Literal["gpiozero", "simulated", "none"] = "none"
    """`none` leaves the evidence of illumination not run; `simulated` lights what the simulated camera sees."""
    frequency_hz: int = Field(default=200, ge=100, le=20000)
    """Of the dimming. From 100 Hz on nobody sees it flicker; software cannot time more than a few hundred, a driver board can."""


class Slip(Section):
    """Result slips, the text a person can take home (`docs/slip.md`)."""

    page_url: str | None = Field(default=None, pattern=r"^https://[!-~]+$", max_length=120)
    """Address of the fleet's page that checks slips, for telephones; the code then opens it. None: the code is the slip alone."""

    @field_validator("page_url")
    @classmethod
    def _without_fragment(cls, value: str | None) -> str | None:
        if value is not None and "#" in value:
            raise ValueError("an address without # expected: the slip comes behind it")
        return value


class Printer(Section):
    """The receipt printer for result slips."""

    kind: Literal["escpos", "none"] = "none"
    """`none`: the screen alone shows the code."""
    device: SettingsPath = Path("/dev/usb/lp0")
    """Device file of the printer: `/dev/usb/lp0` for USB, `/dev/ttyUSB0` or `/dev/serial0` for a serial one."""
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    """Speed of a serial printer; its self-test page names it."""
    width_dots: int = Field(default=384, ge=256, le=832)
    """Printable width: 384 on paper of 58 mm, 576 on paper of 80 mm, at 8 dots a millimetre."""
    font: SettingsPath | None = None
    """Font file with Chinese characters, for a printer without characters in GB 18030; words are then printed as a picture."""


class Voice(Section):
    """The spoken prompts. Every line is written to standard output as well."""

    kind: Literal["alsa", "none"] = "alsa"
    """`alsa` speaks through `aplay`; `none` leaves a terminal that only those who can read can use."""
    device: str = Field(default="default", min_length=1)
    """ALSA device as `aplay -L` names it; `default` follows `/etc/asound.conf`."""
    microphone: str | None = None
    """ALSA device of a microphone as `arecord -L` names it, if there is one: `lifecert-terminal commission` listens with it whether the
    loudspeaker sounds, and nothing else ever does. None: somebody on the spot says so."""
    slow: bool = False
    """Whether to begin with slow speech; the person can change it where there is a screen."""
    volume: float = Field(default=1.0, ge=0, le=1)
    """Of the samples, 1 as they were recorded; set the loudness of the room with the mixer (`alsamixer`), it lasts."""
    languages: tuple[VoiceTag, ...] = ()
    """Language tags of what is spoken, in this order, such as `bo` or `zh-yue`; empty: the languages of the terminal."""


class Uplink(Section):
    """How the uplink sends: windows and waits."""

    window: int = Field(default=50, ge=1, le=1000)
    """Records sent and not yet confirmed by the fleet; 50 of about 6 kB fill a slow link without burying it."""
    poll_s: float = Field(default=0.5, ge=0.05, le=60)
    """How often the outbox is looked at for new records; the person sees "confirmed" about this much later."""
    resend_after_s: float = Field(default=30, ge=0.1, le=86400)
    """A record the fleet has not confirmed after this is sent again; above the time a loaded fleet takes to commit."""
    resend_cap_s: float = Field(default=900, ge=0.1, le=86400)
    """Longest random addition to `resend_after_s` after many attempts, so that a fleet that is down is not flooded."""
    puback_timeout_s: float = Field(default=60, ge=0.5, le=3600)
    """A broker that takes no message for so long is left and connected to again."""
    reconnect_base_s: float = Field(default=1, ge=0.01, le=60)
    """Full-jitter back-off of connection attempts: the first wait is random between 0 and this, then it doubles."""
    reconnect_cap_s: float = Field(default=120, ge=0.01, le=3600)
    """Upper end of the random wait between connection attempts: half of this is the mean delay after a long outage."""
    connect_timeout_s: float = Field(default=10, ge=0.5, le=60)
    """Longest wait for the broker to answer a connection attempt; below the systemd watchdog."""
    presence_s: float = Field(default=60, ge=1, le=3600)
    """How often presence is repeated; the console shows a terminal as late after several of these."""
    presence_change_s: float = Field(default=5, ge=0, le=3600)
    """Least time between two presence messages when what they say changes."""
    health_s: float = Field(default=600, ge=1, le=86400)
    """How often presence carries the terminal's condition, some 1.5 kB: 200 kB a day. A change of voltage, charging, clock or versions is
    told after half a minute at most."""
    roster_retry_s: float = Field(default=30, ge=0.1, le=3600)
    """A question for roster changes that got no answer is asked again after this, and then ever more rarely."""
    roster_refresh_s: float = Field(default=3600, ge=1, le=86400)
    """How often the fleet is asked although nothing was missing; it also prolongs the roster's validity."""


class OutboxLimits(Section):
    """How much the outbox keeps."""

    max_rows: int = Field(default=50_000, ge=1, le=10_000_000)
    """Records the fleet has not confirmed; 500 sessions a day for a hundred days without a network."""
    max_bytes: int = Field(default=1024 * _ONE_MIB, ge=_ONE_MIB)
    """Largest database file; above it new sessions stop, so that a full card does not stop everything else."""
    keep: int = Field(default=1000, ge=0)
    """Confirmed records that stay on the terminal, for questions at the counter; older ones are deleted."""


class Courier(Section):
    """Data by stick, see `docs/courier.md`."""

    mount_root: SettingsPath = Path("/media")
    """Where sticks are mounted, at most two levels deep: below it a folder counts as a stick only while one is mounted there."""


class Updates(Section):
    """Bundles of programs, networks and voices, see `docs/updates.md`."""

    slots_dir: SettingsPath = Path("/var/lib/lifecert-slots")
    """Folder of the slots, root's alone to write. What runs from a slot takes the place of what came with the terminal."""
    release_keys: SettingsPath = Path("/etc/lifecert/release-keys.json")
    """Who may sign bundles: public keys as a JWK set (RFC 7517). Without the file no bundle is taken."""
    bytes_per_s: int = Field(default=128 * 1024, ge=1024, le=1024**3)
    """Most that is fetched in a second, so that records are not held up on a thin link; 10 MB take a minute and a half."""
    from_hour: int | None = Field(default=None, ge=0, le=23)
    """Bundles are fetched and put on trial from this hour of the terminal's own day on, until `until_hour`; None: at any time. A clock that
    nothing vouches for does not count."""
    until_hour: int | None = Field(default=None, ge=0, le=23)
    """See `from_hour`; 22 and 5 are the night."""
    spare_bytes: int = Field(default=256 * _ONE_MIB, ge=0)
    """Room that bundles leave on the disk, for records."""
    retry_base_s: float = Field(default=30, ge=0.01, le=3600)
    """Full-jitter back-off where the fleet's door gives no bundle: the first wait is random between 0 and this, then it doubles."""
    retry_cap_s: float = Field(default=3600, ge=0.01, le=86400)
    """Upper end of that wait."""
    proof_s: float = Field(default=60, ge=0.1, le=3600)
    """A terminal that has run on something new for so long counts as one that runs."""
    examine_timeout_s: float = Field(default=900, ge=1, le=7200)
    """Longest examination of a new bundle, which runs when nothing else wants the processor."""

    @model_validator(mode="after")
    def _hours_belong_together(self) -> Self:
        if (self.from_hour is None) != (self.until_hour is None):
            raise ValueError("from_hour and until_hour belong together")
        return self


class Settings(Section):
    """The whole file."""

    terminal: Terminal
    keys: Keys = Keys()
    broker: Broker = Broker()
    camera: Camera = Camera()
    simulated: Simulated = Simulated()
    board: Board = Board()
    panel: Panel = Panel()
    ring_light: RingLight = RingLight()
    readers: Readers = Readers()
    screen: Screen = Screen()
    position: Position = Position()
    slip: Slip = Slip()
    printer: Printer = Printer()
    voice: Voice = Voice()
    uplink: Uplink = Uplink()
    outbox: OutboxLimits = OutboxLimits()
    courier: Courier = Courier()
    updates: Updates = Updates()

    @model_validator(mode="after")
    def _light_fits(self) -> Self:
        if self.ring_light.kind == "simulated" and self.camera.kind != "simulated":
            raise ValueError("ring_light: a simulated light needs a simulated camera")
        return self

    @property
    def outbox_path(self) -> Path:
        """The outbox database."""
        return self.terminal.data_dir / "outbox.sqlite"

    @property
    def references_path(self) -> Path:
        """The roster database."""
        return self.terminal.data_dir / "references.sqlite"

    @property
    def policy_path(self) -> Path:
        """The signed policy in force."""
        return self.terminal.data_dir / "policy.jws"

    @property
    def rule_packs_path(self) -> Path:
        """The signed rule packs in force."""
        return self.terminal.data_dir / "rule-packs.jws"

    @property
    def staff_path(self) -> Path:
        """The list of who may sign in, encrypted."""
        return self.terminal.data_dir / "staff.sealed"

    @property
    def attachments_path(self) -> Path:
        """The database of sealed pictures."""
        return self.terminal.data_dir / "attachments.sqlite"

    @property
    def attestation_path(self) -> Path:
        """The fleet's signed statement about this terminal's key."""
        return self.terminal.data_dir / "attestation.jws"

    @property
    def decommission_dir(self) -> Path:
        """What shows that this terminal is, or is being, erased: beside the data folder, where only root may write."""
        return self.terminal.data_dir.with_name(self.terminal.data_dir.name + "-decommission")

    @property
    def commands_path(self) -> Path:
        """The database of what the fleet asks."""
        return self.terminal.data_dir / "commands.sqlite"

    @property
    def reports_path(self) -> Path:
        """The folder of signed reports of commissionings."""
        return self.terminal.data_dir / "commissioning"

    @property
    def reaching_path(self) -> Path:
        """The folder in which the terminal's process asks the uplink what it reaches."""
        return self.terminal.data_dir / "reaching"

    @property
    def running_path(self) -> Path:
        """What the terminal's process says of itself."""
        return self.terminal.data_dir / "running.json"

    @property
    def updates_dir(self) -> Path:
        """What the office wants of this terminal, bundles on their way to the slots, and what its processes say they were started from."""
        return self.terminal.data_dir / "updates"

    @property
    def desired_path(self) -> Path:
        """What the office wants of this terminal, signed."""
        return self.updates_dir / "desired.jws"

    @property
    def clock_path(self) -> Path:
        """What is remembered about the time."""
        return self.terminal.data_dir / "time.json"


def load_settings(path: Path, *, credentials: Path | None = None) -> Settings:
    """Read and check a settings file.

    Args:
        path: the TOML file.
        credentials: folder of `credential:NAME` values; by default the one systemd names in `CREDENTIALS_DIRECTORY`.

    Raises:
        SettingsInvalid: with every problem of the file, one a line, each naming file and key.
    """
    if credentials is None and (named := os.environ.get("CREDENTIALS_DIRECTORY")):
        credentials = Path(named)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid([f"{path}: not TOML: {error}"]) from error
    try:
        return Settings.model_validate(data, context=_Context(path.resolve().parent, credentials))
    except ValidationError as error:
        raise SettingsInvalid([f"{path}: {_problem(found)}" for found in error.errors()]) from error


def overlaid(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return the settings with some of them other than the file has them.

    Args:
        settings: the file's.
        values: by `<section>_<key>`.

    Raises:
        SettingsInvalid: if one is none, or does not fit, by itself or with the others.
    """
    changes: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition("_")
        changes.setdefault(section, {})[key] = value
    made: dict[str, Section] = {}
    problems: list[str] = []
    models = dict(sections())
    for section, changed in changes.items():
        try:
            model = models[section]
            found = getattr(settings, section)
            made[section] = model.model_validate({key: getattr(found, key) for key in model.model_fields} | changed)
        except KeyError:
            problems.append(f"{section}: no such section")
        except ValidationError as error:
            problems += [f"{section}.{_problem(each)}" for each in error.errors()]
    if problems:
        raise SettingsInvalid(problems)
    return settings.model_copy(update=made)


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Give name and model of every section, in the order of the file."""
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            yield name, model


def _problem(error: ErrorDetails) -> str:
    loc = [str(part) for part in error["loc"]]
    key = ".".join(loc)
    if error["type"] == "extra_forbidden":
        near = _elsewhere(loc) or [
            ".".join([*loc[:-1], name])
            for name in difflib.get_close_matches(loc[-1], _known_keys(loc[:-1]), n=1, cutoff=0)
        ]
        return f"{key}: unknown key" + (f", did you mean {near[0]}?" if near else "")
    if error["type"] == "missing":
        return f"{key}: missing"
    message = error["msg"].removeprefix("Value error, ")
    return (f"{key}: " if key else "") + f"{message[:1].lower()}{message[1:]}" + _found(error)


def _found(error: ErrorDetails) -> str:
    value = error["input"]
    return f", found {value!r}" if isinstance(value, int | float | str) else ""


def _known_keys(loc: list[str]) -> list[str]:
    models: Mapping[str, type[Section]] = dict(sections())
    if not loc:
        return list(models)
    model = models.get(loc[0])
    return list(model.model_fields) if model is not None and len(loc) == 1 else []


def _elsewhere(loc: list[str]) -> list[str]:
    """Return where a key stands that was put into the wrong section, like a pin that has moved to `[board]`."""
    if len(loc) != 2:
        return []
    found = [
        f"{name}.{key}"
        for name, model in sections()
        for key in model.model_fields
        if name != loc[0] and key in {loc[1], f"{loc[0].removesuffix('_light')}_{loc[1]}"}
    ]
    return found if len(found) == 1 else []
