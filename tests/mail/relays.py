"""Real mail servers on loopback, each as good or as bad as a test needs it, and the certificates that they show."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.service import free_port

NAME = "relay.example"  # tests/mail/conftest.py leads it to loopback
USER, SMTP_PASSWORD = "mailer", "hunter2-of-the-relay"


class Authority:
    """A certificate authority, and what it signs: complete enough for VERIFY_X509_STRICT, Python 3.13's default."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage = {**dict.fromkeys(names, False), "key_cert_sign": True, "crl_sign": True}
        own = (
            self._builder(self._name, self._key, timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage, encipher_only=False, decipher_only=False), critical=True)
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(own))

    def server_context(self, host: str = NAME, lives: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(host, lives))
        return context

    def certificate(self, host: str = NAME, lives: timedelta = timedelta(days=1)) -> Path:
        """A file with a certificate of the host, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        builder = self._builder(subject, key, lives).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{host}-{lives.total_seconds()}.pem"
        file.write_bytes(self._signed(builder) + private)
        return file

    def _builder(self, subject, key, lives) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + lives)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass
class Handler:
    """Answers as it is told, and keeps what it was given: envelopes, mails, and every command by name."""

    answers: dict[str, str] = field(default_factory=dict)  # by command
    commands: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)

    async def handle_MAIL(self, server, session, envelope, address, options):
        self.commands.append("MAIL")
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.commands.append("RCPT")
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.commands.append("DATA")
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.recipients += envelope.rcpt_tos
        self.was_encrypted.append(session.ssl is not None)
        self.contents.append(envelope.content)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, given):
        assert isinstance(given, LoginPassword)
        self.passwords.append(given.password)
        is_right = given.login == USER.encode() and given.password == SMTP_PASSWORD.encode()
        if "AUTH" in self.answers:
            return AuthResult(success=False, handled=False, message=self.answers["AUTH"])
        return AuthResult(success=is_right, handled=False)


def start(handler: Handler, **options) -> Controller:
    """An aiosmtpd with its own options, on a free port."""
    controller = Controller(handler, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    return controller


class Wire:
    """A server of its own words: what ``lines`` yields goes out, whatever comes in."""

    def __init__(self, talk) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._talk = talk
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._talk(connection, self._stopped)

    def stop(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
