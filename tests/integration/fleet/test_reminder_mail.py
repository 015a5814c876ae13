"""Electronic mail against a real server on a socket, with TLS."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleet.reminders.channels import Delivery, Message, Result
from fleet.reminders.composing import Text
from fleet.reminders.mail import EmailChannel
from fleet.settings import EmailSettings

pytestmark = pytest.mark.integration

MESSAGE = Message("ab" * 16, "wang@example.org", Text("认证提醒", "王秀英您好！请在2026年12月20日前办理。" * 8))


@dataclass
class MailServer:
    """Speaks SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954), and keeps what it is given."""

    certificate: Path
    key: Path
    is_tls_first: bool = False
    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sign_ins: list[str] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Answers to commands in place of the usual ones."""

    def context(self) -> ssl.SSLContext:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(self.certificate, self.key)
        return found

    def serve(self, plain: socket.socket) -> None:
        """Talk with one client until it goes."""
        talking = self.context().wrap_socket(plain, server_side=True) if self.is_tls_first else plain
        is_encrypted = self.is_tls_first
        lines = talking.makefile("rwb")

        def say(line: str) -> None:
            lines.write(line.encode() + b"\r\n")
            lines.flush()

        try:
            say("220 mail.example.org ESMTP")
            while line := lines.readline().decode().strip():
                verb = line.split(" ")[0].split(":")[0].upper()
                if verb in self.answers:
                    say(self.answers[verb])
                elif verb == "EHLO":
                    say("250-mail.example.org")
                    say("250-AUTH PLAIN" if is_encrypted else "250-STARTTLS")
                    say("250 8BITMIME")
                elif verb == "STARTTLS":
                    say("220 ready")
                    lines.close()
                    talking = self.context().wrap_socket(talking, server_side=True)
                    lines, is_encrypted = talking.makefile("rwb"), True
                elif verb == "AUTH":
                    self.sign_ins.append(base64.b64decode(line.split(" ")[2]).decode())
                    say("235 welcome")
                elif verb == "DATA":
                    say("354 go on")
                    body = b""
                    while not body.endswith(b"\r\n.\r\n"):
                        body += lines.readline()
                    self.mails.append(body.removesuffix(b".\r\n"))
                    self.was_encrypted.append(is_encrypted)
                    say("250 kept")
                elif verb == "QUIT":
                    say("221 bye")
                    break
                else:
                    if verb == "RCPT":
                        self.recipients.append(line)
                    say("250 fine")
        finally:
            # Also where whoever asked has gone.
            with contextlib.suppress(OSError):
                lines.close()
            talking.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)  # noqa: TID251 - a certificate is valid now
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "mail.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "mail.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tmp_path / "mail.pem", tmp_path / "mail.key"


@pytest.fixture(params=["starttls", "tls"])
def server(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[MailServer]:
    made = MailServer(*certificate, is_tls_first=request.param == "tls")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                # Whoever asked has gone, or did not trust the certificate.
                made.serve(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        made.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield made
        listening.shutdown()
        thread.join()


def channel(server: MailServer, tmp_path: Path, **changes: object) -> EmailChannel:
    (tmp_path / "password").write_text("secret\n")
    settings = EmailSettings.model_validate(
        {
            "host": "127.0.0.1",
            "port": server.port,
            "security": "tls" if server.is_tls_first else "starttls",
            "ca_file": server.certificate,
            "sender": "agency@example.org",
            "user": "agency",
            "password_file": tmp_path / "password",
            "timeout_s": 30,
            **changes,
        }
    )
    return EmailChannel(settings, domain="north.lifecert")


def test_a_mail_arrives_encrypted_signed_in_and_with_our_id(server: MailServer, tmp_path: Path) -> None:
    assert channel(server, tmp_path).send(MESSAGE) == Delivery(Result.ACCEPTED, "ok")
    mail = message_from_bytes(server.mails[0], policy=policy.default)
    assert mail["Subject"] == "认证提醒"
    assert mail["To"] == "wang@example.org"
    assert mail["Message-ID"] == f"<{'ab' * 16}@north.lifecert>"
    assert mail.get_content().strip() == MESSAGE.text.body
    assert server.was_encrypted == [True]
    assert server.sign_ins == ["\0agency\0secret"]


@pytest.mark.parametrize(
    ("verb", "answer", "expected"),
    [
        ("RCPT", "550 no such user", Delivery(Result.FAILED, "smtp_550", is_address_wrong=True)),
        ("RCPT", "452 too many", Delivery(Result.LATER, "smtp_452")),
        ("DATA", "554 spam", Delivery(Result.FAILED, "smtp_554")),
        ("AUTH", "535 who are you", Delivery(Result.LATER, "smtp_535")),
        ("MAIL", "421 closing", Delivery(Result.LATER, "smtp_421")),
    ],
)
def test_answers_say_whether_to_try_again(
    server: MailServer, tmp_path: Path, verb: str, answer: str, expected: Delivery
) -> None:
    server.answers[verb] = answer
    assert channel(server, tmp_path).send(MESSAGE) == expected
    assert server.mails == []


def test_a_server_nobody_vouches_for_gets_nothing(server: MailServer, tmp_path: Path) -> None:
    assert channel(server, tmp_path, ca_file=None).send(MESSAGE) == Delivery(Result.LATER, "certificate")
    assert (server.mails, server.recipients, server.sign_ins) == ([], [], [])


def test_a_server_without_tls_gets_nothing(server: MailServer, tmp_path: Path) -> None:
    if server.is_tls_first:
        assert channel(server, tmp_path, security="starttls", timeout_s=1).send(MESSAGE).result is Result.LATER
    else:
        server.answers["STARTTLS"] = "454 not now"
        assert channel(server, tmp_path).send(MESSAGE).result is Result.LATER
    assert (server.mails, server.recipients, server.sign_ins) == ([], [], [])


def test_an_address_that_is_none_is_not_tried(server: MailServer, tmp_path: Path) -> None:
    wrong = Message("ab" * 16, "two@example.org\r\nBcc: all@example.org", MESSAGE.text)
    assert channel(server, tmp_path).send(wrong) == Delivery(Result.FAILED, "bad_address", is_address_wrong=True)
    assert server.recipients == []


def test_nobody_there_is_tried_again_later(server: MailServer, tmp_path: Path, free_ports: object) -> None:
    assert callable(free_ports)
    assert channel(server, tmp_path, port=free_ports()).send(MESSAGE) == Delivery(Result.LATER, "unreachable")
