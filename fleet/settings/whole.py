"""All settings of the fleet together."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator

from fleet.settings.agency import AgencySettings
from fleet.settings.broker import BrokerSettings
from fleet.settings.console import AccountSettings, WebSettings
from fleet.settings.exchange import ExchangeSettings, StatisticsSettings
from fleet.settings.part import Part
from fleet.settings.partners import ApiSettings, WebhookSettings
from fleet.settings.people import CaseSettings, DuplicateSettings, PrivacySettings, ReferenceSettings, SlipSettings
from fleet.settings.provisioning import ProvisioningSettings
from fleet.settings.reminders import EmailSettings, ReminderSettings, SmsSettings, WechatSettings
from fleet.settings.terminals import TerminalSettings
from protocol.ids import FleetId

_OFFSET = re.compile(r"^([+-])(\d{2}):(\d{2})$")
_DATABASE = re.compile(r"^postgresql(\+psycopg)?://")


class Settings(Part):
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
    agency: AgencySettings = Field(default_factory=AgencySettings)
    """The agency, as its letters name it."""
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
    provisioning: ProvisioningSettings = Field(default_factory=ProvisioningSettings)
    """New terminals and their certificates."""

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
