"""The fleet's settings: one TOML file, read once at start. Nothing else reads files or environment for settings."""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from datetime import time, timedelta, timezone, tzinfo
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from fleet.errors import SettingsInvalid
from protocol.ids import FleetId, KeyDomain

_OFFSET = re.compile(r"^([+-])(\d{2}):(\d{2})$")
_DATABASE = re.compile(r"^postgresql(\+psycopg)?://")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BrokerSettings(_Part):
    """Where the MQTT broker is."""

    mode: Literal["embedded", "external"] = "embedded"
    """`embedded` starts a broker inside `serve`: for a laptop or a single office."""
    host: str = "127.0.0.1"
    """Name or address; the embedded broker listens there."""
    port: int = Field(default=1883, ge=1, le=65535)
    """TCP port; 8883 is usual with TLS."""
    ca_file: Path | None = None
    """CA certificates that vouch for the broker; with it the connection is TLS."""
    certificate_file: Path | None = None
    """This client's certificate."""
    key_file: Path | None = None
    """This client's private key."""
    client_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,60}$")
    """MQTT client identifier; workers of one fleet need different ones. Default: `<fleet_id>-ingest`."""
    shared_group: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,40}$")
    """Workers that name the same group share the messages; the broker must offer `$share`."""
    batch_messages: int = Field(default=200, ge=1, le=500)
    """Most messages that share one database transaction."""
    batch_wait_s: float = Field(default=0.05, ge=0, le=5)
    """Longest a message waits for others to share its transaction."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.certificate_file is not None and self.ca_file is None:
            raise ValueError("certificate_file needs ca_file")
        if self.mode == "external" and self.ca_file is None and not _is_loopback(self.host):
            raise ValueError("an external broker on another machine needs TLS: set ca_file")
        if self.mode == "embedded" and self.ca_file is not None:
            raise ValueError("the embedded broker has no TLS; use an external broker")
        if self.mode == "embedded" and not _is_loopback(self.host):
            # Without TLS and without client certificates anybody on the network could read along.
            raise ValueError("the embedded broker has no TLS and serves this machine only: host 127.0.0.1")
        return self


class WebSettings(_Part):
    """Where the console and the open interface listen."""

    host: str = "127.0.0.1"
    """Address to listen on; only one of this machine: passwords and keys come by a reverse proxy with TLS that stands before it."""
    port: int = Field(default=8080, ge=1, le=65535)
    """TCP port to listen on."""

    @field_validator("host")
    @classmethod
    def _only_loopback(cls, host: str) -> str:
        if not _is_loopback(host):
            raise ValueError("a reverse proxy with TLS on this machine stands before it: 127.0.0.1 expected")
        return host


class AccountSettings(_Part):
    """Accounts of the console: where it is reached, and how long a sign-in lasts."""

    url: str | None = None
    """Address under which browsers reach the console, `https://console.example` without a path; passkeys and links are for it. Default:
    `http://localhost:` and the port of `web`, where a passkey needs the name and not 127.0.0.1."""
    other_origins: tuple[str, ...] = ()
    """Further addresses where passkeys may be used, of the same domain."""
    rp_id: str | None = Field(default=None, pattern=r"^[a-z0-9.-]*[a-z0-9]$")
    """Domain that passkeys are bound to: that of `url` or one above it; with another one no passkey made before works. Default: that of
    `url`. Source: W3C Web Authentication Level 2, 5.1.2."""
    idle_minutes: int = Field(default=30, ge=2, le=60)
    """A session ends so many minutes after it was used last. Source: OWASP Session Management Cheat Sheet, 15 to 30 minutes; NIST SP
    800-63B-4, 2.2.3, one hour at most."""
    absolute_minutes: int = Field(default=480, ge=15, le=1440)
    """And so many minutes after the sign-in. Source: OWASP, 4 to 8 hours for a day at an office; NIST SP 800-63B-4, 2.2.3, 24 hours at
    most."""
    fresh_minutes: int = Field(default=15, ge=1, le=60)
    """So many minutes after signing in somebody may change what they sign in with; later they sign in anew first."""
    link_minutes: int = Field(default=10, ge=1, le=60)
    """So long a link is good that signs in once: it is opened while somebody waits for it."""
    password_min: int = Field(default=12, ge=8, le=64)
    """Least characters of a new password. Source: NIST SP 800-63B-4, 3.1.1.2: 8 beside a second factor, which is always asked for here, and
    15 without one."""
    ended_days: int = Field(default=30, ge=1, le=365)
    """So many days after it ended a session is deleted; until then failures from its address count apart, so that nobody is locked out
    of their own desk."""

    @model_validator(mode="after")
    def _is_one_domain(self) -> Self:
        for each in filter(None, (self.url, *self.other_origins)):
            found = urlsplit(each)
            host = found.hostname
            if host is None or found.scheme not in ("https", "http") or f"{found.scheme}://{found.netloc}" != each:
                raise ValueError("url, other_origins: https://host or https://host:port expected, without a path")
            if "@" in found.netloc:
                raise ValueError("url, other_origins: no user name expected")
            if found.scheme == "http" and not (host == "localhost" or _is_loopback(host)):
                raise ValueError("url, other_origins: passwords and cookies go there: https expected")
            domain = self.rp_id or urlsplit(self.url or "http://localhost").hostname
            if host != domain and not host.endswith(f".{domain}"):
                raise ValueError("url, other_origins, rp_id: one domain expected, which all addresses are in")
        return self


class ReferenceSettings(_Part):
    """How references are made."""

    command: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Program that reads a picture from its input and prints a feature report, called with `features - --json` added; for the clip
    description of a simulated person with `features FILE --json`, for a batch of photographs with `check-photos - --json`.
    Default: `lifecert-terminal` beside this Python."""
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    """Longest one picture may take."""
    key_domain: KeyDomain = "d1"
    """Names the secret rotation that protects new references."""
    validity_months: int = Field(default=36, ge=1, le=240)
    """After so many months a reference must be made anew; three yearly certifications, the agency may choose another."""

    def feature_command(self, picture: str = "-") -> tuple[str, ...]:
        """Return the whole command line for one picture: on its input, or the clip description of this name."""
        program = self.command or (str(Path(sys.executable).with_name("lifecert-terminal")),)
        return (*program, "features", picture, "--json")

    def photo_command(self) -> tuple[str, ...]:
        """Return the whole command line for a batch of photographs on its input."""
        program = self.command or (str(Path(sys.executable).with_name("lifecert-terminal")),)
        return (*program, "check-photos", "-", "--json")


class SlipSettings(_Part):
    """Result slips (`docs/slip.md`)."""

    statement_months: int = Field(default=24, ge=13, le=120)
    """For so many months from the first of this one the fleet vouches for a terminal's key: a year that a slip certifies, and a year
    in which a terminal without a network goes on with the statement it has. Slips of a stolen key are believed no longer than that."""


class CaseSettings(_Part):
    """Sealed pictures of cases."""

    photo_days: int = Field(default=90, ge=1, le=3650)
    """So long after its case was decided, or closed without a decision, a picture or scan is deleted; long enough for an appeal against
    the decision."""
    unclaimed_days: int = Field(default=14, ge=1, le=365)
    """So long a picture waits for the record of its case, which may still be on a terminal; the review clock of R6-2."""
    unclaimed_mib: int = Field(default=256, ge=8, le=65536)
    """Most MiB of one terminal's pictures that no case names; what comes beyond stays on the terminal until they are named."""


class ExchangeSettings(_Part):
    """Feeds of life events from other bodies."""

    unknown_days: int = Field(default=400, ge=30, le=3650)
    """So long a row about somebody who is not known is kept, as a keyed token without a name; who is imported meanwhile meets it. A
    year and a month: lists of people are renewed once a year."""
    form_days: int = Field(default=49, ge=1, le=365)
    """So many days before the due day somebody abroad needs the form for people abroad; the forms of R2-13 had from 1 November to 20
    December."""


class ApiSettings(_Part):
    """The open interface: how much it takes, and from where it can be reached."""

    public_names: tuple[str, ...] = ()
    """Host names under which a reverse proxy with TLS offers it to partners; under these only the open interface is served, never the
    console."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses of proxies whose word for a caller's address is taken; failed credentials are counted by that address."""
    body_kib: int = Field(default=256, ge=16, le=4096)
    """Largest request in KiB; a batch of 100 certifications has about 20."""
    body_wait_s: float = Field(default=10.0, gt=0, le=120)
    """Longest the rest of a request may take to arrive, in seconds."""
    concurrent: int = Field(default=4, ge=1, le=20)
    """Most requests of one partner that are worked on at once, so that a flood leaves room for the others."""
    failures_per_minute: int = Field(default=20, ge=1, le=1000)
    """So many wrong credentials from one address in a minute are looked at; then it waits."""
    token_minutes: int = Field(default=15, ge=1, le=60)
    """How long an access token lasts; a new one costs one request."""
    replay_hours: int = Field(default=24, ge=1, le=168)
    """So long the answer to a request with an `Idempotency-Key` is kept for the case that it comes again."""
    clock_skew_s: int = Field(default=300, ge=0, le=3600)
    """By so many seconds another system's clock may be ahead of ours before its certification lies in the future."""


class WebhookSettings(_Part):
    """What is sent to partners."""

    timeout_s: float = Field(default=10.0, gt=0, le=60)
    """Longest one delivery may take, in seconds."""
    first_wait_s: float = Field(default=5.0, gt=0, le=600)
    """Most seconds before the second try; each further one may wait twice as long, a random part of it (full jitter)."""
    longest_wait_s: float = Field(default=3600.0, gt=0, le=86400)
    """Most seconds between two tries."""
    days: int = Field(default=3, ge=1, le=30)
    """So many days after its first try a message that nobody took is given up, and the next one has its turn."""
    keep_days: int = Field(default=30, ge=1, le=365)
    """So many days after it was delivered or given up a message is deleted."""
    private_addresses: bool = False
    """Whether addresses of private networks may be sent to; a partner could otherwise have the fleet call its own machines."""


class DuplicateSettings(_Part):
    """The search for people who are listed twice."""

    fpir: float = Field(default=0.01, gt=0, lt=1)
    """Wanted false positive identification rate: of so many searched people of whom there is no second one, one has a false hit. A hit
    costs two persons some minutes, so one in a hundred is bearable; a rarer one hides more real ones. Needs a calibration to be kept."""
    same_sex: bool = True
    """Whether people of different sex by their documents are left out."""
    birth_years: int | None = Field(default=10, ge=0, le=120)
    """Most years between two dates of birth by their documents; no source says how far those of one person are apart, so
    `--all-ages` now and then looks at everybody."""
    most_hits: int = Field(default=10_000, ge=1, le=1_000_000)
    """New hits of one search beyond which its threshold must be wrong; so many cannot be looked at."""
    combinations_file: Path | None = None
    """Which benefits one person may have side by side (TOML as `fleet/duplicates/combinations.toml`). Default: that example."""


class PrivacySettings(_Part):
    """How long what is kept. The sources name no terms; these are careful ones, to be set as law and the agency's rules say."""

    ended_days: int = Field(default=30, ge=0, le=3650)
    """So long after a confirmed death or burial, or the last day of their last benefit, the person's references are erased; long enough for
    a wrong report or list to be noticed. Not if somebody passed as that person since: a contradiction is for a person to resolve."""
    expired_days: int = Field(default=90, ge=0, le=3650)
    """So long after its last day of validity a reference is erased; nothing can be compared with it any more."""
    record_years: int = Field(default=10, ge=3, le=100)
    """After so many years records and closed cases are parted from the person (but for what a status rests on); proof of payments is
    asked for longer than of anything else here."""
    unknown_days: int = Field(default=365, ge=30, le=3650)
    """So long records of people whom the fleet does not know wait for these to be imported, before their tokens go; a yearly list comes
    within it."""
    quarantine_days: int = Field(default=90, ge=7, le=3650)
    """So long after it came last a refused message is kept."""
    reminder_days: int = Field(default=1095, ge=180, le=3650)
    """So long after it was settled a step that was taken to remind somebody is kept, three years; those of the present period stay, so that
    nobody is told the same twice. What they prove of a stop stands with the benefit."""
    photo_import_days: int = Field(default=1095, ge=30, le=3650)
    """So long the report of an import of photographs is kept: three years, as the records that PIPL Article 56 asks for."""
    calendar_file: Path | None = None
    """Public holidays and the weekends worked in their place (TOML: `holidays`, `worked`, lists of dates), which the agency keeps as the
    State Council announces them. Without it working days are Monday to Friday."""


class ReminderSettings(_Part):
    """Reminders: who is told how long before, and when nobody is."""

    channels: tuple[Literal["sms", "wechat", "email"], ...] = ("sms", "wechat", "email")
    """By which messages are tried, in this order, as far as they are set up and the person has an address; a short message reaches
    telephones without any application."""
    language: Literal["zh", "en", "both"] = "zh"
    """Of messages; `both` doubles what a short message costs."""
    is_name_told: bool = True
    """Whether a message begins with the person's name, the only personal datum in it."""
    lead_days: int = Field(default=7, ge=0, le=90)
    """A due reminder comes so long before the person is asked to come: a week to plan the way."""
    early_days: int = Field(default=30, ge=0, le=180)
    """And so long before to people with no data (R9-2): they must be enrolled first, at an office or at home."""
    call_after_days: int = Field(default=7, ge=1, le=90)
    """From a message that arrived until somebody calls."""
    visit_after_days: int = Field(default=7, ge=1, le=90)
    """From a call that reached somebody until a visit."""
    rest_days: int = Field(default=3, ge=0, le=30)
    """Least days between two messages about one period, so that nobody takes them for a nuisance."""
    failed_days: int = Field(default=30, ge=1, le=180)
    """So long after it a failed attempt or the answer to an appeal is worth a reminder."""
    receipt_days: int = Field(default=3, ge=1, le=30)
    """A message that no gateway has called delivered after so many days counts as not delivered, and the call comes next; gateways keep
    trying a telephone that is switched off for one to three days."""
    quiet_from: time = time(20, 0)
    """From this time of day on no message is sent; old people go to bed early."""
    quiet_until: time = time(8, 0)
    """Until this one; the same as `quiet_from` for no quiet hours."""
    max_tries: int = Field(default=8, ge=1, le=50)
    """After so many tries of one message a gateway that does not answer counts as failed: with the waits between, after two hours."""
    first_wait_s: float = Field(default=60, gt=0, le=86400)
    """Wait after the first try that failed for now; doubled after each other."""
    longest_wait_s: float = Field(default=14400, gt=0, le=86400)
    """No wait is longer."""


class _WebhookSettings(_Part):
    url: str | None = None
    """Where messages are posted as JSON; without it this channel is not used. https, unless it is on this machine."""
    key_file: Path | None = None
    """Secret shared with the gateway, 16 bytes or more: signs what is sent and proves who calls back (HMAC-SHA-256). Needed with `url`."""
    token_file: Path | None = None
    """Secret that is sent as `Authorization: Bearer`, where the gateway asks for one."""
    ca_file: Path | None = None
    """CA certificates that vouch for the gateway; default: those of the operating system's kind."""
    timeout_s: float = Field(default=10, gt=0, le=60)
    """Longest wait for an answer."""
    body: dict[str, Any] = Field(default={"to": "{to}", "text": "{text}", "id": "{message_id}"})
    """The JSON that is posted; `{to}`, `{text}`, `{title}` and `{message_id}` stand for what they say, wherever they are in a text."""
    ok_key: str | None = None
    """Key of the answer that says whether the message was taken, where an answer 200 alone does not; `a.b` for a key within another."""
    ok_values: tuple[str, ...] = ("0", "200", "OK", "ok", "success", "true")
    """What it says then."""
    id_key: str | None = None
    """Key of the answer with the gateway's own id of the message."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.url is None:
            return self
        found = urlsplit(self.url)
        if found.scheme not in ("https", "http") or not found.hostname or found.username is not None:
            raise ValueError("url: https://host/path expected, without a user name or password in it")
        if found.scheme == "http" and not _is_loopback(found.hostname):
            raise ValueError("a gateway on another machine gets telephone numbers: https expected")
        if self.key_file is None:
            raise ValueError("url needs key_file")
        if "{text}" not in str(self.body) or "{to}" not in str(self.body):
            raise ValueError("body: needs {to} and {text}")
        return self


class SmsSettings(_WebhookSettings):
    """Gateway for short messages, as a webhook."""

    cost_per_part: int = Field(default=0, ge=0, le=100000)
    """Price of one part of a short message, in hundredths of the currency (fen, cents); for the report only."""


class WechatSettings(_WebhookSettings):
    """Gateway for messages of a WeChat account, as a webhook."""


class EmailSettings(_Part):
    """Server for electronic mail."""

    host: str | None = None
    """Name of the server; without it this channel is not used."""
    port: int = Field(default=587, ge=1, le=65535)
    """587 with `starttls`, 465 with `tls` are usual."""
    security: Literal["starttls", "tls"] = "starttls"
    """`starttls` begins in the open and goes over to TLS before anything is said; `tls` from the start. There is no way without."""
    ca_file: Path | None = None
    """CA certificates that vouch for the server; default: those of the operating system's kind."""
    sender: str | None = Field(default=None, pattern=r"^[^@\s<>]+@[^@\s<>]+$")
    """Address that messages come from. Needed with `host`."""
    user: str | None = None
    """For sign-in."""
    password_file: Path | None = None
    """Goes with `user`."""
    timeout_s: float = Field(default=20, gt=0, le=120)
    """Longest wait for an answer."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.host is not None and self.sender is None:
            raise ValueError("host needs sender")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        return self


class StatisticsSettings(_Part):
    """Counts and figures of fairness."""

    min_cell: int = Field(default=10, ge=3, le=1000)
    """A rate over fewer sessions is not shown by itself but merged or left out: one could tell persons from it, and it says little."""
    snapshot_days: int = Field(default=400, ge=2, le=3650)
    """So long nightly snapshots are kept: a year and a month, to compare a month with that of the year before."""


class TerminalSettings(_Part):
    """Terminals: from where on one is said to be silent, or in need of somebody."""

    missed_presences: int = Field(default=3, ge=1, le=60)
    """So many presences in a row must be missing, besides the time in which the broker would have given a will, before a terminal is
    silent: two may be lost on a bad link. How often it speaks a terminal says itself."""
    presence_s: float = Field(default=60, ge=1, le=3600)
    """How often terminals speak that do not say it; their own default."""
    keep_alive_s: int = Field(default=30, ge=5, le=600)
    """The keep-alive of the same; their own default."""
    warm_c: float = Field(default=75, ge=40, le=100)
    """From so many degrees Celsius on a processor is warm: 5 below the 80 at which a Raspberry Pi is slowed down."""
    low_battery_percent: int = Field(default=20, ge=0, le=100)
    """A battery that is not charged and has no more than this is low."""
    low_disk_mib: int = Field(default=256, ge=8, le=65536)
    """Less room in MiB is too little; the terminal's own self test asks for as much."""
    old_outbox_hours: int = Field(default=24, ge=1, le=2400)
    """A record that has waited for longer wants a stick or a look at the network. Mobile units are away for weeks: set it as they are
    used."""
    command_hours: int = Field(default=24, ge=1, le=720)
    """So long a command waits for its terminal; later it would surprise whoever stands before it."""
    command_days: int = Field(default=400, ge=1, le=3650)
    """So long commands and their answers are kept."""
    drift_h: float = Field(default=8, ge=3, le=30)
    """Height of the sum (CUSUM), in standard deviations, at which a terminal's change gives an alarm: at 8 one of its eight charts gives a
    false one in some six years of days, and a step of two deviations is found within two weeks. At 5, the textbook's, in four months."""
    drift_days: int = Field(default=400, ge=60, le=3650)
    """So long a terminal's daily means are kept: a year and a month, to compare with the year before."""
    health_days: int = Field(default=35, ge=1, le=730)
    """So long the hourly conditions of terminals are kept: a month to look back, some 850 rows a terminal."""


class Settings(_Part):
    """All of them."""

    fleet_id: FleetId
    """Names this agency's installation; a level of every topic, so it cannot change later."""
    data_dir: Path
    """Keys and the embedded database; a relative path starts at the settings file."""
    database: SecretStr = SecretStr("embedded")
    """`embedded`, or the URL of a PostgreSQL database; masked because it may hold a password."""
    time_zone: str = "+08:00"
    """Decides which day it is: `+HH:MM` or an IANA name."""
    accept_simulated: bool = False
    """Whether records of terminals without a camera count: for demonstrations and training only."""
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    """The MQTT broker."""
    web: WebSettings = Field(default_factory=WebSettings)
    """Console and open interface."""
    accounts: AccountSettings = Field(default_factory=AccountSettings)
    """Accounts of the console."""
    api: ApiSettings = Field(default_factory=ApiSettings)
    """The open interface for partners."""
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    """What is sent to partners."""
    references: ReferenceSettings = Field(default_factory=ReferenceSettings)
    """How references are made."""
    slips: SlipSettings = Field(default_factory=SlipSettings)
    """Result slips."""
    cases: CaseSettings = Field(default_factory=CaseSettings)
    """Sealed pictures of cases."""
    exchange: ExchangeSettings = Field(default_factory=ExchangeSettings)
    """Feeds of life events from other bodies."""
    duplicates: DuplicateSettings = Field(default_factory=DuplicateSettings)
    """The search for people who are listed twice."""
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    """How long what is kept."""
    reminders: ReminderSettings = Field(default_factory=ReminderSettings)
    """Reminders."""
    sms: SmsSettings = Field(default_factory=SmsSettings)
    """Gateway for short messages."""
    wechat: WechatSettings = Field(default_factory=WechatSettings)
    """Gateway for messages of a WeChat account."""
    email: EmailSettings = Field(default_factory=EmailSettings)
    """Server for electronic mail."""
    statistics: StatisticsSettings = Field(default_factory=StatisticsSettings)
    """Counts and figures of fairness."""
    terminals: TerminalSettings = Field(default_factory=TerminalSettings)
    """Terminals."""

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text != "embedded" and not _DATABASE.match(text):
            raise ValueError('"embedded" or a URL postgresql://... expected')
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        _zone(value)
        return value

    def zone(self) -> tzinfo:
        """Return the time zone that decides which day it is."""
        return _zone(self.time_zone)

    @property
    def console_url(self) -> str:
        """Where browsers reach the console."""
        return self.accounts.url or f"http://localhost:{self.web.port}"

    @property
    def console_host(self) -> str:
        """Host name of the console."""
        return urlsplit(self.console_url).hostname or "localhost"

    @property
    def ingest_client_id(self) -> str:
        """MQTT client identifier of this ingest worker."""
        return self.broker.client_id or f"{self.fleet_id}-ingest"


def load_settings(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        SettingsInvalid: with every problem found, each naming file and key.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsInvalid([f"{path}: no such file; `lifecert-fleet init --fleet-id NAME` writes one"]) from error
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid([f"{path}: not TOML: {error}"]) from error
    try:
        settings = Settings.model_validate(found)
    except ValidationError as error:
        raise SettingsInvalid([f"{path}: {problem}" for problem in _problems(error)]) from error
    return _absolute(settings, path.parent.resolve())


def _absolute(settings: Settings, start: Path) -> Settings:
    parts = {}
    for name in ("broker", "sms", "wechat", "email", "duplicates", "privacy"):
        part: _Part = getattr(settings, name)
        files = {key: start / value for key, value in part if key.endswith("_file") and value is not None}
        parts[name] = part.model_copy(update=files)
    return settings.model_copy(update={"data_dir": start / settings.data_dir, **parts})


def _problems(error: ValidationError) -> list[str]:
    return [_problem(found["loc"], found["type"], found["msg"]) for found in error.errors(include_input=False)]


def _problem(where: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(map(str, where)) or "settings"
    if kind != "extra_forbidden":
        return f"{key}: {message.removeprefix('Value error, ')}"
    known = _keys_of(where[:-1])
    near = difflib.get_close_matches(str(where[-1]), known, n=1)
    return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}")


def _keys_of(where: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for name in where:
        model = model.model_fields[str(name)].annotation
    return list(model.model_fields)


def _zone(text: str) -> tzinfo:
    if matched := _OFFSET.match(text):
        sign = -1 if matched[1] == "-" else 1
        offset = sign * timedelta(hours=int(matched[2]), minutes=int(matched[3]))
        if abs(offset) < timedelta(hours=24):
            return timezone(offset)
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("unknown time zone: +HH:MM or an IANA name expected") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
