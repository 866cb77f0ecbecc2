"""Which passwords may be set: none that an attacker tries first. Passwords that are set already stay good."""

import unicodedata
from collections.abc import Iterator

from authservice.errors import Fault, ValidationFailed
from authservice.security.common_passwords import is_common
from authservice.state import current_state

_CORE_MIN_CHARACTERS = 3  # or the address a1@example.com would forbid every password with one "a" and else digits


def require_hard_to_guess(password: str, email: str, pointer: str = "/password") -> None:
    """Refuse common passwords and those of the context. It asks nobody.

    Raises ValidationFailed with faults at ``pointer``.
    """
    faults = [Fault(pointer, code, detail) for code, detail in _reasons_against(password, email)]
    if faults:
        raise ValidationFailed(faults)


def asks_server() -> bool:
    """Whether ``require_unbreached`` sends a request."""
    return current_state().breaches is not None


def require_unbreached(password: str, pointer: str = "/password") -> None:
    """Ask the server of FLASK_BREACH_CHECK, if there is one. Limit first who may cause such a request.

    Raises ValidationFailed with a fault at ``pointer``.
    """
    breaches = current_state().breaches
    if breaches is not None and breaches.is_breached(password):
        detail = "Choose another password: this one was published with the data of a breach, so attackers know it."
        raise ValidationFailed([Fault(pointer, "password_breached", detail)])


def _reasons_against(password: str, email: str) -> Iterator[tuple[str, str]]:
    if is_common(password):
        yield "password_common", "Choose another password: this one is among the most common ones."
    if _core(password) in map(_core, _words_around(email)):
        yield (
            "password_context",
            "Choose another password: this one is little more than your e-mail address or the name of this service.",
        )


def _words_around(email: str) -> Iterator[str]:
    """What an attacker knows of the user and the service."""
    local_part, _, domain = email.strip().rpartition("@")
    yield from (email, local_part, local_part.partition("+")[0], domain)
    yield from domain.split(".")[:-1]
    state = current_state()
    yield state.app.name.partition(".")[0]
    yield from state.settings["PASSWORD_WORDS"] or ()


def _core(text: str) -> str:
    """The text without what is around its letters; all of it if that leaves next to nothing."""
    folded = unicodedata.normalize("NFKC", text.strip().casefold())
    letters = [index for index, character in enumerate(folded) if character.isalpha()]
    core = folded[letters[0] : letters[-1] + 1] if letters else ""
    return core if len(core) >= _CORE_MIN_CHARACTERS else folded
