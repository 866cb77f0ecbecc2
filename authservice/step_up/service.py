"""The use cases of the second step of a sign-in, and of a step-up."""

from dataclasses import replace

from authservice import audit, metrics
from authservice.auth import pairs, starting
from authservice.auth.pairs import SignedIn
from authservice.auth.service import check_current_password
from authservice.auth.starting import Visit
from authservice.errors import SecondFactorWrong, StepUpRequired, TokenInvalid
from authservice.limits import budgets
from authservice.mail import queue
from authservice.security import continuations, passwords
from authservice.security.claims import AAL2
from authservice.security.continuations import Continuation
from authservice.step_up import judging
from authservice.step_up.judging import Proof
from authservice.store import lookup, sessions, users
from authservice.store.clock import now
from authservice.store.lookup import Account
from authservice.store.sessions import BY_PASSWORD
from authservice.store.spending import Spending
from authservice.store.users import StoredPassword, User

_TRIES = 3
_TWO_FACTORS = ("mfa",)


def sign_in(continuation: str, proof: Proof, visit: Visit) -> SignedIn:
    """Exchange what the right password was answered with, and a second factor, for a session.

    One write spends the factor and starts the session, if the password is still the one that was shown.
    Raises SecondFactorWrong whatever is wrong, TooManyAttempts, SecondFactorUnavailable, DatabaseUnavailable.
    """
    shown, judged = continuations.read(continuation), None
    outcome, kind = "refused", "new"  # who has no continuation has not shown the password
    for _ in range(_TRIES):
        account = _account_of(shown) if shown else None
        if account is None:
            break
        outcome, kind = "second_factor_wrong", starting.kind_of_device(account, visit)
        judged = judged or judging.judge(account.user, account.stored, proof, visit)
        if judged is None:
            break
        amr = (*BY_PASSWORD, *judged.methods, *_TWO_FACTORS)
        if signed_in := starting.start(account, visit, amr, spending=judged.spending):
            return signed_in
        # The document has changed since: another sign-in added the device, or the factor is spent.
    metrics.sign_ins.labels(outcome, kind).inc()
    audit.record("sign_in", outcome, target_id=shown.user_id if shown else None)
    raise SecondFactorWrong


def _account_of(shown: Continuation) -> Account | None:
    """None also if the password has changed, the user is disabled, or there is no second step any more."""
    account = lookup.find_account(shown.user_id)
    if account is None or account.user.is_disabled or not account.user.has_second_step:
        return None
    return account if shown.is_of(account.stored.hash) else None


def step_up_by_password(user: User, session_id: str, password: str, visit: Visit) -> SignedIn:
    """Prove again who has the session, for a user without a second step.

    Raises StepUpRequired, PasswordWrong, TooManyAttempts, TokenInvalid if the session has ended, HashingBusy,
    DatabaseUnavailable.
    """
    if user.has_second_step:
        raise StepUpRequired(None, AAL2)
    with budgets.for_password_check(user.id):
        for _ in range(_TRIES):
            with passwords.enter(visit.client.address) as place:
                checked = check_current_password(place, user, password)
            if signed_in := _authenticate_again(user, session_id, checked, ()):
                return signed_in
            # A sign-in renewed the hash, or the session has ended.
        raise TokenInvalid


def step_up(user: User, session_id: str, proof: Proof, visit: Visit) -> SignedIn:
    """Prove by a factor who has the session. The session goes on, and its tokens say when and how.

    Raises SecondFactorWrong, TooManyAttempts, TokenInvalid if the session has ended, SecondFactorUnavailable,
    DatabaseUnavailable.
    """
    checked = users.find_password(user.id)
    judged = judging.judge(user, checked, proof, visit)
    if judged and (signed_in := _authenticate_again(user, session_id, checked, judged.methods, judged.spending)):
        return signed_in
    audit.record("step_up", "refused", target_id=user.id, sessionId=session_id)
    raise SecondFactorWrong


def _authenticate_again(
    user: User, session_id: str, checked: StoredPassword, methods: tuple[str, ...], spending: Spending | None = None
) -> SignedIn | None:
    """None if the password or the session has changed since, or ``spending`` is not met.

    A password that the session began with counts besides the new factor.
    """
    found = sessions.find(user.id, session_id)
    if found is None:
        raise TokenInvalid
    current, session = found
    first = BY_PASSWORD if not methods or set(BY_PASSWORD) <= set(session.amr) else ()
    amr, moment = (*first, *methods, *(_TWO_FACTORS if methods else ())), now()
    signed_in = pairs.pair(current, replace(session, authenticated_at=moment, amr=amr))
    if not sessions.authenticate_again(user.id, session_id, checked, moment, amr, spending):
        return None
    for mail in spending.mails if spending else ():
        queue.nudge(mail)
    audit.record("step_up", "ok", target_id=user.id, sessionId=session_id)
    return signed_in
