"""A real SMTP server that keeps what it gets, and can be slow, refuse, or be away."""

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.leaks import remember_codes
from tests.service import free_port


class Sink:
    """``answers``: what it says at MAIL or RCPT in place of 250. ``before_answer`` is called when it has a mail."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[tuple[str, EmailMessage]] = []
        self.answers: dict[str, str] = {}
        self.before_answer: Callable[[], object] = lambda: None
        self._controller: Any = None

    @property
    def settings(self) -> dict[str, str]:
        return {
            "SMTP_URL": f"smtp://127.0.0.1:{self.port}",
            "MAIL_FROM": "Example <no-reply@example.com>",
            "APP_URL": "https://app.example.com/",
        }

    @property
    def environment(self) -> dict[str, str]:
        return {f"FLASK_{name}": value for name, value in self.settings.items()}

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def to(self, address: str) -> list[EmailMessage]:
        return [message for to, message in self.got if to == address]

    def only(self) -> tuple[str, EmailMessage]:
        """The only mail. It came to whom, and what it is."""
        (one,) = self.got
        return one

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        (to,) = envelope.rcpt_tos
        message = message_from_bytes(envelope.original_content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        remember_codes(text_of(message))
        self.got.append((to, message))
        self.before_answer()
        return "250 OK"


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def token_in(message: EmailMessage) -> str:
    (token,) = re.findall(r"token=([\w.~:-]+)", text_of(message))
    return str(token)


def code_in(message: EmailMessage) -> str:
    (code,) = re.findall(r"\b(\d{4} \d{4})\b", text_of(message))
    return code.replace(" ", "")
