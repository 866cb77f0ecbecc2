"""Judge what proves a user besides the password."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from authservice import metrics
from authservice.auth import passkey_proofs
from authservice.auth.passkey_proofs import Judgement
from authservice.auth.starting import Visit
from authservice.errors import TooManyAttempts
from authservice.limits import units
from authservice.mail import kinds, queue
from authservice.security import encryption, recovery_codes, totp
from authservice.store import factors, second_steps
from authservice.store.clock import now
from authservice.store.users import StoredPassword, User

_CLOSED_SECONDS = 3_600
_CLOSED = "There were too many wrong codes. Use a recovery code or a passkey, or ask an admin to reset your factors."


@dataclass(frozen=True)
class Proof:
    """What a body has; the others are None."""

    totp: str | None = None
    recovery_code: str | None = None
    passkey: Mapping[str, Any] | None = None


def judge(user: User, checked: StoredPassword, proof: Proof, visit: Visit) -> Judgement | None:
    """None if the proof is wrong. A good one is good for one write, which may still find it spent.

    Raises TooManyAttempts, SecondFactorUnavailable, DatabaseUnavailable.
    """
    if proof.totp is not None:
        return _judge_totp(user, checked, proof.totp)
    if proof.passkey is not None:
        return _judge_passkey(user, proof.passkey, visit)
    return _judge_recovery_code(user, proof.recovery_code or "", visit)


def _judge_totp(user: User, checked: StoredPassword, code: str) -> Judgement | None:
    enrolled = factors.find(user.id).totp
    if enrolled is None:
        return None
    secret = encryption.decrypt(user.id, enrolled.secret)  # before an attempt is claimed
    _claim_attempt(user, checked)
    step = totp.matching_step(secret, code, now())
    if step is None or step <= enrolled.last_step:
        return None
    return Judgement(("otp",), second_steps.spend_step(enrolled, step, encryption.renew(user.id, enrolled.secret)))


def _claim_attempt(user: User, checked: StoredPassword) -> None:
    wait_seconds = second_steps.claim_attempt(user.id, checked)
    if wait_seconds is None:
        metrics.attempts_refused.labels(units.SECOND_STEP).inc()
        raise TooManyAttempts(_CLOSED_SECONDS, _CLOSED)
    units.require_no_wait(units.SECOND_STEP, wait_seconds)


def _judge_recovery_code(user: User, code: str, visit: Visit) -> Judgement | None:
    code_hash = recovery_codes.hash_of(code)
    if code_hash not in factors.find(user.id).recovery_codes:
        return None
    notice = queue.notice(kinds.recovery_code_used, user, visit.user_agent, visit.accept_language)
    return Judgement(("otp",), second_steps.spend_recovery_code(code_hash, notice))


def _judge_passkey(user: User, credential: Mapping[str, Any], visit: Visit) -> Judgement | None:
    good = passkey_proofs.judge(user, credential, visit.user_agent, visit.accept_language)
    if good and user.has_second_step:
        return replace(good, spending=second_steps.forgive(good.spending))
    return good
