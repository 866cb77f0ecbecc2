"""Judge the answer of a passkey: alone it is two factors, at a sign-in, as a second step and at a step-up."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authservice import audit
from authservice.mail import kinds, queue
from authservice.security import webauthn
from authservice.security.passkey_challenges import InvalidCredential
from authservice.security.webauthn import Assertion, Proof
from authservice.store import passkeys
from authservice.store.passkeys import Passkey
from authservice.store.spending import Spending
from authservice.store.users import User

_HARDWARE, _SYNCED = "hwk", "swk"  # RFC 8176: who syncs a key has it in software


@dataclass(frozen=True)
class Judgement:
    """A good answer. What acts on it does so in a write with ``spending``, or the answer is good again.

    ``methods`` are its words of RFC 8176. It is two factors, so ``mfa`` goes behind them.
    """

    methods: tuple[str, ...]
    spending: Spending


def judge(
    user: User, credential: Mapping[str, Any], user_agent: str = "", accept_language: str | None = None
) -> Judgement | None:
    """None if it does not prove this very user, whatever is wrong. Another user's passkey proves nothing.

    Raises DatabaseUnavailable.
    """
    try:
        assertion = webauthn.read_assertion(credential)
    except InvalidCredential:
        return None
    return judge_assertion(user, assertion, user_agent, accept_language)


def judge_assertion(
    user: User, assertion: Assertion, user_agent: str = "", accept_language: str | None = None
) -> Judgement | None:
    """``judge`` of what is read already."""
    if assertion.user_id != user.id:
        return None
    passkey = next((one for one in passkeys.of(user.id) if one.id == assertion.credential_id), None)
    if passkey is None or assertion.challenge_at <= passkey.challenge_at:
        return None
    try:
        proof = webauthn.verify_assertion(assertion, passkey.public_key)
    except InvalidCredential:
        return None
    if _went_back(passkey, proof):
        _warn(user, passkey, assertion, user_agent, accept_language)
        return None
    spending = passkeys.spending(passkey, assertion.challenge_at, proof.sign_count, is_synced=proof.is_synced)
    return Judgement((_SYNCED if proof.is_synced else _HARDWARE, "user"), spending)


def _went_back(passkey: Passkey, proof: Proof) -> bool:
    """Synced passkeys count nothing and say 0. Source: WebAuthn Level 3 section 6.1.1."""
    return max(proof.sign_count, passkey.sign_count) > 0 and proof.sign_count <= passkey.sign_count


def _warn(user: User, passkey: Passkey, assertion: Assertion, user_agent: str, accept_language: str | None) -> None:
    """Somebody may have a copy. Only who has the key can cause this, once for each challenge."""
    notice = queue.notice(kinds.passkey_refused, user, user_agent, accept_language)
    if passkeys.spend(user.id, passkey, assertion.challenge_at, notice):
        queue.nudge(notice)
        audit.record("use_passkey", "counter_went_back", target_id=user.id, level=logging.WARNING)
