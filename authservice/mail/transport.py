"""A mail to the mail server, or to a file.

Source: RFC 5321; RFC 8314 and RFC 3207 for TLS; RFC 4954 for the codes of a refused sign-in.
"""

import re
import smtplib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import policy
from email.message import EmailMessage
from pathlib import Path

from authservice.config import Relay
from authservice.mail.setup import Mail, current_mail
from authservice.security import emails

STEP_SECONDS = 10.0  # for each read or write
CONVERSATION_SECONDS = 60.0  # for all of them: a server that sends a byte now and then holds up no delivery for long
MOST_FILES = 1_000  # in the outbox
_WHO_WE_ARE = "[127.0.0.1]"  # smtplib would ask the DNS for our name, and wait for it
_AUTHENTICATION_REQUIRED = 530
_ENHANCED_CODE = re.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")  # RFC 3463


class NotSent(Exception):
    """The text has the server's codes and none of its words, which may repeat anything."""


class Refused(NotSent):
    """The server will never take this mail, or not for this address."""


class Unavailable(NotSent):
    """Another attempt may succeed. The server may even have taken the mail, and its answer was lost."""


class Misconfigured(NotSent):
    """No mail can be sent before somebody changes the settings or the server: sign-in, TLS or sender are refused."""


def send(message: EmailMessage, to: str) -> None:
    """Hand the mail over. Raises Refused, Unavailable, Misconfigured."""
    mail = current_mail()
    address = emails.for_envelope(to)
    if address is None:
        raise Refused("the address is none")
    if mail.relay is None:
        _write_file(message, mail)
        return
    with _session(mail, mail.relay) as smtp:
        _hand_over(smtp, message, mail.sender.addr_spec, address)


def _hand_over(smtp: smtplib.SMTP, message: EmailMessage, sender: str, address: str) -> None:
    options = []
    if not address.isascii():
        if not smtp.has_extn("smtputf8"):
            raise Refused("the server knows no SMTPUTF8, and the address is not ASCII")
        options = ["SMTPUTF8", "BODY=8BITMIME"]
    # A server that refuses the options refuses only this mail: one address must not delay the mails of all others.
    _require(smtp.mail(sender, options), at="MAIL", refused=Refused if options else Misconfigured)
    _require(smtp.rcpt(address), at="RCPT", refused=Refused)
    content = message.as_bytes(policy=policy.SMTP if address.isascii() else policy.SMTPUTF8)
    try:
        answer = smtp.data(content)
    except smtplib.SMTPDataError as error:  # refused before the content
        answer = (error.smtp_code, _bytes(error.smtp_error))
    _require(answer, at="DATA", refused=Refused)


@contextmanager
def _session(mail: Mail, relay: Relay) -> Iterator[smtplib.SMTP]:
    """A conversation that is encrypted and signed in."""
    smtp: smtplib.SMTP
    if relay.is_tls:
        smtp = smtplib.SMTP_SSL(local_hostname=_WHO_WE_ARE, timeout=STEP_SECONDS, context=mail.tls)
    else:
        smtp = smtplib.SMTP(local_hostname=_WHO_WE_ARE, timeout=STEP_SECONDS)
    # The name that the certificate must have. If the constructor got it, it would connect, and _abandon would come too
    # late. Without it the check fails, as it must.
    smtp._host = relay.host  # type: ignore[attr-defined]
    deadline = threading.Timer(CONVERSATION_SECONDS, _abandon, [smtp])
    deadline.daemon = True
    deadline.start()
    try:
        smtp.connect(relay.host, relay.port)
        if not deadline.is_alive():  # it found nothing to end
            raise Unavailable("the connection took too long")
        smtp.ehlo_or_helo_if_needed()
        if not relay.is_tls:
            _start_tls(smtp, mail, relay)
        if relay.user is not None and relay.password is not None:
            _sign_in(smtp, relay.user, relay.password)
        yield smtp
    except NotSent:
        raise
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise Unavailable("the server ended TLS") from None
    except ssl.SSLCertVerificationError as error:
        raise Misconfigured(f"the server's certificate is not accepted: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise Misconfigured(f"TLS failed: {error.reason}") from None
    except smtplib.SMTPResponseException as error:
        raise Unavailable(_codes(error.smtp_code, error.smtp_error)) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: an answer that is none
        raise Unavailable(type(error).__name__) from None
    finally:
        deadline.cancel()
        _close(smtp)


def _start_tls(smtp: smtplib.SMTP, mail: Mail, relay: Relay) -> None:
    """Encrypt. On this machine a server need not be able to."""
    if not smtp.has_extn("starttls"):
        if relay.is_on_this_machine:
            return
        raise Misconfigured("the server offers no STARTTLS")
    try:
        smtp.starttls(context=mail.tls)
    except smtplib.SMTPResponseException as error:
        _require((error.smtp_code, _bytes(error.smtp_error)), at="STARTTLS", refused=Misconfigured)
        raise
    smtp.ehlo_or_helo_if_needed()


def _sign_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    try:
        smtp.login(user, password)
    except smtplib.SMTPNotSupportedError:
        raise Misconfigured("the server offers no sign-in that we know") from None
    except smtplib.SMTPAuthenticationError as error:
        _require((error.smtp_code, _bytes(error.smtp_error)), at="AUTH", refused=Misconfigured)
        raise


def _require(answer: tuple[int, bytes], *, at: str, refused: type[NotSent]) -> None:
    """Raise what the server's answer means: ``refused`` if it is final."""
    code, words = answer
    if 200 <= code < 300:
        return
    said = f"{_codes(code, words)} at {at}"
    if code == _AUTHENTICATION_REQUIRED:
        raise Misconfigured(said)
    raise refused(said) if 500 <= code < 600 else Unavailable(said)


def _codes(code: int, words: bytes | str) -> str:
    enhanced = _ENHANCED_CODE.match(_bytes(words))
    return f"{code} {enhanced[0].decode()}" if enhanced else str(code)


def _bytes(words: bytes | str) -> bytes:
    return words.encode("ascii", "replace") if isinstance(words, str) else words


def _abandon(smtp: smtplib.SMTP) -> None:
    """Whatever the conversation waits for ends now."""
    with suppress(OSError):  # not connected any more
        if smtp.sock is not None:
            socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)  # not that of ssl, which is for the thread that reads


def _close(smtp: smtplib.SMTP) -> None:
    """Say goodbye. The server has the mail or has not: nothing that happens now changes that."""
    with suppress(OSError, smtplib.SMTPException, ValueError):
        if smtp.sock is not None:
            smtp.quit()
    with suppress(OSError):
        smtp.close()


def _write_file(message: EmailMessage, mail: Mail) -> None:
    """One file for a mail, however often it is sent, that its owner alone can read and that is never there in part."""
    assert mail.outbox is not None
    name = f"{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
    try:
        mail.outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=mail.outbox, suffix=".part", delete=False) as file:  # 0600
            file.write(message.as_bytes(policy=policy.SMTPUTF8))
        Path(file.name).replace(mail.outbox / name)
    except OSError as error:
        raise Unavailable(f"the folder {mail.outbox} cannot be written: {error.strerror}") from None
    with suppress(OSError):  # another process deletes the same ones
        files = list(mail.outbox.glob("*.eml"))
        if len(files) > MOST_FILES:
            files.sort(key=lambda file: file.stat().st_mtime_ns)
            for oldest in files[:-MOST_FILES]:
                oldest.unlink()
