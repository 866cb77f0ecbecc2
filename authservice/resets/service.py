"""The use cases of links and codes that come by mail."""

import logging

from authservice import audit, signals
from authservice.errors import CodeInvalid
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.mail import kinds, queue, requests
from authservice.security import devices, emails, new_passwords, passwords
from authservice.store import lookup, resets
from authservice.store.clock import now
from authservice.store.devices import Device


def ask_for_reset(email: str, language: str | None, client: Client) -> str:
    """Ask for a mail with a link and a code, and get the handle that goes with the code.

    No user is looked up: the answer and its time are the same for every address.
    Raises TooManyAttempts, DatabaseUnavailable.
    """
    budgets.for_reset(client)
    return requests.ask(kinds.reset.name, email, language)


def reset_password(
    token: str | None, handle: str | None, code: str | None, new_password: str, client: Client, user_agent: str
) -> str:
    """Set a new password by the token of a link, or by a code and the handle of its request; the token of a new device.

    One write sets the password, ends every session and tells the user by mail. The device is the way back in for a user
    whom guessers have locked out.
    Raises CodeInvalid whatever is wrong with token and code, ValidationFailed, HashingBusy, DatabaseUnavailable.
    """
    request = requests.find(kinds.reset.name, token, handle, code)
    new_passwords.require_hard_to_guess(new_password, request.email, "/newPassword")
    new_passwords.require_unbreached(new_password, "/newPassword")
    recipient = lookup.find_recipient(emails.spellings(request.email))
    if recipient is None:
        raise CodeInvalid
    with passwords.enter(client.address) as place:
        new_hash = passwords.hash_password(place, new_password)
    device_token, moment = devices.new_token(), now()
    device = Device(devices.id_of(device_token), devices.label_of(user_agent), moment, moment)
    notice = queue.new(
        kinds.password_reset_done, recipient.email, language=request.language, facts={"device": device.label}
    )
    if not resets.reset(recipient, request.at, new_hash, device, notice):
        audit.record("reset_password", "refused", target_id=recipient.user_id, level=logging.WARNING)
        raise CodeInvalid
    queue.nudge(notice)
    audit.record("reset_password", "ok", actor_id=recipient.user_id, target_id=recipient.user_id)
    signals.send_after(signals.password_changed, recipient.user_id)
    return device_token
