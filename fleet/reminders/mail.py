"""Messages by electronic mail, over TLS only. A mail server's acceptance is no proof that anybody has read it."""

from __future__ import annotations

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage

from fleet.errors import Refused
from fleet.reminders.channels import Delivery, Message, Result, read_secret
from fleet.settings import EmailSettings

_PERMANENT = 500
"""Answers from here on are final. Source: RFC 5321 4.2.1."""
_NO_SUCH_USER = frozenset({550, 551, 553})
"""Mailbox unavailable, user not local, mailbox name not allowed. Source: RFC 5321 4.2.3."""


class EmailChannel:
    """One mail server; a connection for each message, so that none is open between them."""

    name = "email"
    cost_per_part = 0

    def __init__(self, settings: EmailSettings, *, domain: str) -> None:
        """Make the channel; nothing is sent yet.

        Args:
            settings: where the server is.
            domain: right part of message ids.

        Raises:
            SettingsInvalid: if a file it names cannot be used.
        """
        if settings.host is None or settings.sender is None:
            raise Refused("email: host and sender are not set", code="channel_not_set", channel="email")
        self._host, self._sender = settings.host, settings.sender
        self._settings = settings
        self._domain = domain
        self._password: str | None = None
        if settings.password_file is not None:
            self._password = read_secret(settings.password_file, "email.password_file").decode()
        self._trusted = ssl.create_default_context(cafile=settings.ca_file)

    def send(self, message: Message) -> Delivery:
        """Hand it to the server once."""
        try:
            mail = self._mail(message)
        except ValueError:
            return Delivery(Result.FAILED, "bad_address", is_address_wrong=True)
        try:
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            status = next(iter(error.recipients.values()))[0]
            return _refused(status, is_recipient=True)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, is_recipient=False)
        except ssl.SSLCertVerificationError:
            return Delivery(Result.LATER, "certificate")
        except (OSError, smtplib.SMTPException):
            return Delivery(Result.LATER, "unreachable")
        return Delivery(Result.ACCEPTED, "ok")

    def close(self) -> None:
        """Nothing is open between messages."""

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, settings.port, timeout=settings.timeout_s, context=self._trusted
            )
        else:
            server = smtplib.SMTP(self._host, settings.port, timeout=settings.timeout_s)
        try:
            if settings.security == "starttls":
                server.starttls(context=self._trusted)
            if settings.user is not None and self._password is not None:
                server.login(settings.user, self._password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        to = Address(addr_spec=message.address)
        mail = EmailMessage()
        mail["From"], mail["To"] = self._sender, to
        mail["Subject"] = message.text.title
        mail["Message-ID"] = f"<{message.message_id}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text.body)
        return mail


def _refused(status: int, *, is_recipient: bool) -> Delivery:
    if status < _PERMANENT:
        return Delivery(Result.LATER, f"smtp_{status}")
    if not is_recipient and status in (530, 534, 535):
        # Our own sign-in is at fault, not this message.
        return Delivery(Result.LATER, f"smtp_{status}")
    return Delivery(Result.FAILED, f"smtp_{status}", is_address_wrong=is_recipient and status in _NO_SUCH_USER)
