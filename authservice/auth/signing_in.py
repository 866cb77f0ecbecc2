"""Sign in: exchange an e-mail and a password for a session."""

from authservice import audit, metrics
from authservice.auth import starting
from authservice.auth.pairs import SignedIn
from authservice.auth.starting import Visit
from authservice.errors import CredentialsInvalid, EmailUnverified, SecondFactorRequired
from authservice.limits import budgets
from authservice.mail import verification
from authservice.security import continuations, devices, emails, passwords
from authservice.state import current_state
from authservice.store import factors, lookup, second_steps, users
from authservice.store.users import User

_TRIES = 3


def sign_in(email: str, password: str, visit: Visit) -> SignedIn:
    """Exchange an e-mail and a password for a session.

    Unknown e-mail, wrong password, disabled user and broken hash get the same refusal after the same work.
    Raises CredentialsInvalid, EmailUnverified, SecondFactorRequired, TooManyAttempts, HashingBusy, DatabaseUnavailable.
    """
    client, shown_token = visit.client, devices.own(visit.device_token)
    device_id = devices.id_of(shown_token) if shown_token else None
    kind = "new"
    with budgets.for_sign_in(client, email, device_id) as attempt:
        for _ in range(_TRIES):
            # First: under overload most are refused here, which must be cheap.
            with passwords.enter(client.address, shows_device=device_id is not None) as place:
                account = lookup.find_with_password(emails.spellings(email))
                user, stored = (account.user, account.stored) if account else (None, users.NO_PASSWORD)
                may_sign_in = user is not None and not user.is_disabled
                is_known = may_sign_in and account is not None and account.knows(device_id)
                kind = "known" if is_known else "new"
                counts = is_known and attempt.take_of_device()
                passwords.check_device(place, user.id if user and counts else None)
                attempt.take_of_stranger()
                check = passwords.check_password(
                    place, password, stored.hash, is_legacy=stored.is_legacy, renew=may_sign_in
                )
            if account is None or user is None or not may_sign_in or not check.matches:
                break
            require_verified(user, visit.accept_language)
            if user.has_second_step:
                renewed = check.renewed_hash
                if renewed is None or second_steps.renew_hash(user.id, stored, renewed):
                    raise _second_step(user, renewed or stored.hash, kind)
            elif signed_in := starting.start(account, visit, renewed_hash=check.renewed_hash):
                return signed_in
            # The document has changed since the check: another sign-in renewed the hash or added the device, or the
            # password is new.
        metrics.sign_ins.labels("refused", kind).inc()
        audit.record("sign_in", "refused", target_id=user.id if user else None)
        raise CredentialsInvalid


def require_verified(user: User, accept_language: str | None) -> None:
    """With FLASK_REQUIRE_VERIFIED_EMAIL. Only who has shown the password is told, and gets a mail to prove the address.

    Without a session there is no other way to ask for one. Raises EmailUnverified, DatabaseUnavailable.
    """
    if current_state().settings["REQUIRE_VERIFIED_EMAIL"] == "on" and not user.email_verified:
        verification.ask(user, accept_language)
        audit.record("sign_in", "email_unverified", target_id=user.id)
        raise EmailUnverified


def _second_step(user: User, stored_hash: object, kind: str) -> SecondFactorRequired:
    """The password is right, and nothing has begun: no session, and no device that is known from now on."""
    enrolled = factors.find(user.id)
    methods = {
        "totp": enrolled.totp is not None,
        "recoveryCode": bool(enrolled.recovery_codes),
        "passkey": enrolled.passkeys > 0 and current_state().settings["PASSKEY_RP_ID"] is not None,
    }
    metrics.sign_ins.labels("second_step", kind).inc()
    audit.record("sign_in", "second_step", target_id=user.id, device=kind)
    return SecondFactorRequired(
        continuations.issue(user.id, stored_hash),
        continuations.LIFETIME_SECONDS,
        [method for method, is_there in methods.items() if is_there],
    )
