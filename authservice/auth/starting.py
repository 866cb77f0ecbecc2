"""Start a session: what every way to sign in does in the end."""

from contextlib import suppress
from dataclasses import dataclass, replace

from authservice import audit, metrics, signals
from authservice.auth import pairs
from authservice.auth.pairs import SignedIn
from authservice.errors import DatabaseUnavailable, TokenExpired, TokenInvalid
from authservice.limits.clients import Client
from authservice.mail import kinds, queue
from authservice.security import devices, tokens
from authservice.store import sessions
from authservice.store.devices import Device
from authservice.store.lookup import Account
from authservice.store.sessions import BY_PASSWORD
from authservice.store.spending import Spending
from authservice.store.users import User


@dataclass(frozen=True)
class Visit:
    """From where somebody signs in, and with what.

    ``replaced_refresh_token`` is of the session that the new one replaces, which may belong to another user.
    ``device_token`` is what the device kept from an earlier sign-in of any user.
    """

    client: Client
    user_agent: str = ""
    accept_language: str | None = None
    replaced_refresh_token: str | None = None
    device_token: str | None = None


def start(
    account: Account,
    visit: Visit,
    amr: tuple[str, ...] = BY_PASSWORD,
    renewed_hash: str | None = None,
    spending: Spending | None = None,
) -> SignedIn | None:
    """Start a session and keep its device, which the user has from now on.

    None if the document has changed since it was read as ``account``, or if ``spending`` is not met.
    Raises InternalError, DatabaseUnavailable.
    """
    user = account.user
    device_token = devices.own(visit.device_token) or devices.new_token()
    device_id = devices.id_of(device_token)
    is_known = account.knows(device_id)
    session = pairs.new_session(visit.client.address, visit.user_agent, device_id, amr)
    signed_in = replace(pairs.pair(user, session), device_token=device_token)
    device = Device(device_id, devices.label_of(visit.user_agent), session.created_at, session.created_at)
    is_new = _is_of_new_family(device, account)
    notice = queue.notice(kinds.new_device, user, visit.user_agent, visit.accept_language) if is_new else None
    keep = tokens.policy().max_sessions
    if not sessions.start(
        user.id, account.stored, session, keep, renewed_hash, device, notice, is_known=is_known, spending=spending
    ):
        return None
    for mail in (notice, *(spending.mails if spending else ())):
        queue.nudge(mail)
    kind = kind_of_device(account, visit)
    metrics.sign_ins.labels("ok", kind).inc()
    audit.record("sign_in", "ok", actor_id=user.id, target_id=user.id, sessionId=session.id, device=kind)
    end_replaced(visit.replaced_refresh_token, user)
    signals.send(signals.signed_in, user)
    return signed_in


def kind_of_device(account: Account, visit: Visit) -> str:
    """As the metrics and the log call it."""
    shown = devices.own(visit.device_token)
    return "known" if shown and account.knows(devices.id_of(shown)) else "new"


def _is_of_new_family(device: Device, account: Account) -> bool:
    """Whether the user should hear of this device: neither it nor its browser and system were seen before.

    The first device of an account is silent. A legacy user had none: what is in ``devices`` is another stack's.
    """
    labels = account.labels
    if labels is None or account.stored.is_legacy:
        return False
    return device.id not in labels and device.label not in labels.values()


def end_replaced(refresh_token: str | None, by: User) -> None:
    """End the session whose refresh token the browser is about to lose, also if it belongs to another user.

    An invalid token ends nothing. The new session exists already, so no failure is reported.
    """
    if refresh_token is None:
        return
    with suppress(TokenInvalid, TokenExpired, DatabaseUnavailable):
        old = tokens.verify(refresh_token)
        if sessions.end(old.user_id, old.session_id):
            audit.record("sign_out", "replaced", actor_id=by.id, target_id=old.user_id, sessionId=old.session_id)
            signals.send_after(signals.signed_out, old.user_id)
