"""The fleet's settings: one TOML file, read once at start. Nothing else reads files or environment for settings."""

from fleet.settings.broker import BrokerSettings
from fleet.settings.console import AccountSettings, WebSettings
from fleet.settings.exchange import ExchangeSettings, StatisticsSettings
from fleet.settings.partners import ApiSettings, WebhookSettings
from fleet.settings.people import CaseSettings, DuplicateSettings, PrivacySettings, ReferenceSettings, SlipSettings
from fleet.settings.provisioning import ProvisioningSettings
from fleet.settings.reading import load_settings
from fleet.settings.reminders import EmailSettings, ReminderSettings, SmsSettings, WechatSettings
from fleet.settings.terminals import TerminalSettings
from fleet.settings.whole import Settings

__all__ = [
    "AccountSettings",
    "ApiSettings",
    "BrokerSettings",
    "CaseSettings",
    "DuplicateSettings",
    "EmailSettings",
    "ExchangeSettings",
    "PrivacySettings",
    "ProvisioningSettings",
    "ReferenceSettings",
    "ReminderSettings",
    "Settings",
    "SlipSettings",
    "SmsSettings",
    "StatisticsSettings",
    "TerminalSettings",
    "WebSettings",
    "WebhookSettings",
    "WechatSettings",
    "load_settings",
]
