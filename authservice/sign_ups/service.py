"""The use cases of signing up."""

from collections.abc import Mapping
from typing import Any

from authservice import audit, signals
from authservice.errors import CodeInvalid, DatabaseUnavailable, EmailTaken
from authservice.limits import budgets
from authservice.limits.clients import NO_CLIENT, Client
from authservice.mail import kinds, queue, requests, verification
from authservice.security import emails, new_passwords, passwords, proof_of_work
from authservice.store import indexes, lookup, profile_values, proofs, users
from authservice.store.users import User


def require_proof(payload: str | None) -> None:
    """Use up a proof of work, if one is required. It stays used whatever becomes of the sign-up.

    Otherwise one proof would test any number of e-mails. Raises ValidationFailed, DatabaseUnavailable.
    """
    if proof_of_work.is_required():
        proof = proof_of_work.verify(payload)
        if not proofs.use_proof(proof.id, proof.expires_at):
            raise proof_of_work.refusal("proof_used", "This solution was used already. Solve a new challenge.")


def sign_up(
    email: str,
    password: str,
    profile: Mapping[str, Any] | None = None,
    client: Client = NO_CLIENT,
    accept_language: str | None = None,
) -> User:
    """Create an account. A client gets a mail to prove the address, the command line sends none.

    Raises ValidationFailed, EmailTaken, TooManyAttempts, HashingBusy, UsersCollectionUnfit, DatabaseUnavailable.
    """
    new_passwords.require_hard_to_guess(password, email)
    profile_values.require_small(profile or {})
    indexes.ensure_indexes()
    spellings, address = emails.spellings(email), emails.normal_form(email)
    user, mail, more = None, None, dict[str, Any]()
    with budgets.for_sign_up(client) as attempt:
        attempt.is_spent = new_passwords.asks_server()  # or a full gate would make outgoing requests free
        new_passwords.require_unbreached(password)  # before the gate: a slow answer holds no place there
        with passwords.enter(client.address) as place:
            holder_id = lookup.find_holder(spellings)  # saves the hashing; the insert below decides
            attempt.is_spent = True  # from here, a full gate tells that the e-mail is free
            password_hash = passwords.hash_password(place, password) if holder_id is None else None
        if password_hash is not None:
            user_id = users.new_id()
            if client is not NO_CLIENT:
                mail, more = verification.for_new_user(user_id, address, accept_language)
            user = users.insert(address, spellings, password_hash, profile, user_id=user_id, more=more)
    if user is None:
        audit.record("sign_up", "email_taken", target_id=holder_id)
        raise EmailTaken
    queue.nudge(mail)
    _tell(user)
    return user


def ask_for_sign_up(
    email: str, password: str, profile: Mapping[str, Any] | None, language: str | None, client: Client
) -> str:
    """Ask for a mail with a link and a code that make an account, and get the handle that goes with the code.

    No user is looked up, and the password is neither kept nor hashed: the answer and its time are the same for every
    address. Only the owner of the mailbox reads whether there is an account.
    Raises ValidationFailed, TooManyAttempts, UsersCollectionUnfit, DatabaseUnavailable.
    """
    new_passwords.require_hard_to_guess(password, email)
    profile_values.require_small(profile or {})
    indexes.ensure_indexes()
    with budgets.for_sign_up(client):
        new_passwords.require_unbreached(password)
        return requests.ask(kinds.sign_up.name, email, language)


def confirm_sign_up(
    token: str | None,
    handle: str | None,
    code: str | None,
    password: str,
    profile: Mapping[str, Any] | None,
    client: Client,
) -> User:
    """Create an account by the token of a link, or by a code and the handle of its request. The address is proven.

    Password and profile are those of who has the mail, not of who asked for it.
    Raises CodeInvalid whatever is wrong with token and code, and if there is an account by now; ValidationFailed,
    HashingBusy, UsersCollectionUnfit, DatabaseUnavailable.
    """
    request = requests.find(kinds.sign_up.name, token, handle, code)
    new_passwords.require_hard_to_guess(password, request.email)
    profile_values.require_small(profile or {})
    indexes.ensure_indexes()
    new_passwords.require_unbreached(password)
    spellings = emails.spellings(request.email)
    with passwords.enter(client.address) as place:
        if holder_id := lookup.find_holder(spellings):  # also one for whom the address is reserved
            raise _taken(holder_id)
        password_hash = passwords.hash_password(place, password)
    # Used up first: a second use that is slow must not bring back an account that is deleted meanwhile.
    if not requests.use_up(request):
        raise CodeInvalid
    try:
        user = users.insert(request.email, spellings, password_hash, profile, is_verified=True)
    except DatabaseUnavailable:
        requests.give_back(request)
        raise
    if user is None:
        raise _taken(lookup.find_holder(spellings))
    _tell(user)
    return user


def _taken(holder_id: str | None) -> CodeInvalid:
    audit.record("sign_up", "email_taken", target_id=holder_id)
    return CodeInvalid()


def _tell(user: User) -> None:
    audit.record("sign_up", "ok", actor_id=user.id, target_id=user.id)
    signals.send(signals.user_created, user)
