"""What strangers ask for by e-mail: ask, and find the asking again by the link or the code that was sent.

Nothing here looks a user up. Whether there is an account is seen by the deliverer, when the answer is long gone.
"""

import re
import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from authservice.errors import CodeInvalid
from authservice.mail import budgets
from authservice.mail.setup import current_mail
from authservice.security import emails, one_time
from authservice.store import mail_requests
from authservice.store.clock import now
from authservice.store.mail_requests import Request

SLOT = timedelta(minutes=30)
_ID_BYTES = 16
_HANDLE = re.compile(r"([\w-]{22})\.([\w-]{22})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ask(kind: str, email: str, language: str | None) -> str:
    """Ask for a mail to an address, and get the handle that a code is typed with.

    The answer and the two writes are the same for every address. If its budgets are spent, nothing is sent, and the
    earlier link stays good.
    """
    return _ask(kind, email, language, is_admitted=budgets.admits(kind, email))


def ask_for_owner(kind: str, email: str, language: str | None) -> None:
    """Ask for a mail that is sent even if strangers have spent the budgets: the owner of the address caused it."""
    _ask(kind, email, language, is_admitted=True)


def _ask(kind: str, email: str, language: str | None, *, is_admitted: bool) -> str:
    address, slot = emails.normal_form(email), (now() - _EPOCH) // SLOT
    request_id, secret = _id_of(kind, address, slot), secrets.token_urlsafe(16)
    mail_requests.write(request_id, kind, address, slot, secret, language, _link_lifetime(), is_admitted=is_admitted)
    return f"{request_id}.{secret}"


def find(kind: str, token: str | None, handle: str | None, code: str | None) -> Request:
    """The asking that belongs to the token of a link, else to a code and its handle.

    Raises CodeInvalid whatever is wrong with them.
    """
    found = None
    if token is not None:
        found = find_by_token(kind, token)
    elif handle is not None and code is not None:
        found = find_by_code(kind, handle, code)
    if found is None or found.used_at is not None:
        raise CodeInvalid
    return found


def find_by_token(kind: str, token: str) -> Request | None:
    """The asking that the token of a link belongs to; None if it has expired or is none of ours."""
    request_id = one_time.id_of(token)
    request = mail_requests.find(request_id) if request_id else None
    if request is None or request.kind != kind:
        return None
    is_right = one_time.matches_token(token, kind, request.id, request.at, request.email)
    return request if is_right else None


def find_by_code(kind: str, handle: str, code: str) -> Request | None:
    """The asking that the code belongs to. Each call costs a guess of the handle, before anything is compared.

    The code of the half-hour before is good too: if the budgets let no second mail go, it is the one that the user has.
    """
    parts = _HANDLE.fullmatch(handle)
    if parts is None or not mail_requests.count_guess(parts[1], parts[2]):
        return None
    request = mail_requests.find(parts[1])
    if request is None or request.kind != kind:
        return None
    earlier = mail_requests.find(_id_of(kind, request.email, request.slot - 1))
    for asked in (request, earlier):
        if asked and one_time.matches_code(code, kind, asked.id, asked.at, asked.email):
            return asked
    return None


def use_up(request: Request) -> bool:
    """Let link and code be good for nothing more, and those of the half-hours before. Of several callers one gets True.

    The asking stays there, so that a stranger's guess takes the same time as before.
    """
    if not mail_requests.use(request):
        return False
    first, last = ((moment - _EPOCH) // SLOT for moment in (now() - _link_lifetime(), now()))
    others = (_id_of(request.kind, request.email, slot) for slot in range(first, last + 1))
    mail_requests.use_all([other for other in others if other != request.id])
    return True


def give_back(request: Request) -> None:
    """Undo ``use_up`` for this link: what it was for has failed."""
    mail_requests.give_back(request)


def _id_of(kind: str, address: str, slot: int) -> str:
    """Tells nobody the address who does not know it already."""
    keyed = one_time.secret_of("request", kind, _EPOCH + slot * SLOT, address)
    return urlsafe_b64encode(keyed[:_ID_BYTES]).decode().rstrip("=")


def _link_lifetime() -> timedelta:
    return current_mail().link_lifetime
