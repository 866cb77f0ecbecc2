"""The use cases of proving an address."""

from authservice import audit
from authservice.errors import CodeInvalid
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.mail import verification
from authservice.security import passwords
from authservice.store import verifications
from authservice.store.users import User
from authservice.store.verifications import Asking


def ask_for_verification(user: User, accept_language: str | None) -> None:
    """Ask for a mail with a link and a code. It is no error if none is sent. Raises DatabaseUnavailable."""
    verification.ask(user, accept_language)


def verify_email(user: User, token: str | None, code: str | None) -> None:
    """Prove the address of a user who is signed in. A link of another user's is no proof.

    Raises CodeInvalid whatever is wrong, DatabaseUnavailable.
    """
    asking, _ = verifications.find(user.id)
    is_right = asking is not None and _is_right(asking, token, code)
    _confirm(user.id, asking if is_right else None)


def verify_email_by_password(token: str, password: str, client: Client) -> None:
    """Prove the address of a user who may not sign in before. Who has the link but not the password proves nothing.

    A wrong password costs what it costs at a sign-in. For an unknown or disabled user or a wrong token the work is the
    same, and the account's budgets stay as they are.
    Raises CodeInvalid whatever is wrong, TooManyAttempts, HashingBusy, DatabaseUnavailable.
    """
    named = verification.user_id_of(token) or ""
    asking, stored = verifications.find(named)
    if asking is not None and not verification.matches_token(asking, token):
        asking = None
    with budgets.for_sign_in(client, asking.to if asking else named) as attempt:
        with passwords.enter(client.address) as place:
            attempt.take_of_stranger()
            known_hash = stored.hash if asking else None
            check = passwords.check_password(place, password, known_hash, is_legacy=stored.is_legacy, renew=False)
        _confirm(asking.user_id if asking else None, asking if check.matches else None)


def _is_right(asking: Asking, token: str | None, code: str | None) -> bool:
    if token is not None:
        return verification.matches_token(asking, token)
    return code is not None and verification.matches_code(asking, code)


def _confirm(user_id: str | None, asking: Asking | None) -> None:
    if asking is None or not verifications.confirm(asking):
        audit.record("verify_email", "refused", target_id=user_id)
        raise CodeInvalid
    audit.record("verify_email", "ok", actor_id=user_id, target_id=user_id)
