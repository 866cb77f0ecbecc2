"""The kinds of mail: what each may say, and how long it is worth sending."""

from dataclasses import dataclass
from datetime import timedelta

UNDO_LIFETIME = timedelta(days=7)
_NOTICE_LIFETIME = timedelta(days=3)


@dataclass(frozen=True)
class Kind:
    """``name`` is that of its templates.

    ``lives``: how long a mail that cannot be sent is tried again; None: FLASK_MAIL_LINK_MINUTES, as long as its link.
    ``facts``: what its templates may use besides what every template may. ``device`` may be missing. ``factor`` is
    ``totp``, ``passkey`` or, if an operator removed them, ``all``.
    ``action``: what its link is for, as the app reads it in the link.
    """

    name: str
    lives: timedelta | None = _NOTICE_LIFETIME
    facts: tuple[str, ...] = ()
    action: str | None = None


reset = Kind("reset", None, ("link", "code"), "reset")
verification = Kind("verification", None, ("link", "code"), "verify-email")
sign_up = Kind("sign_up", None, ("link", "code"), "sign-up")
sign_up_taken = Kind("sign_up_taken", None)
# To the new address, and to the old one.
email_change = Kind("email_change", None, ("link", "code"), "change-email")
email_change_taken = Kind("email_change_taken", None)
email_changed = Kind("email_changed", UNDO_LIFETIME, ("link", "time", "device"), "undo-email-change")
password_changed = Kind("password_changed", facts=("time", "device"))
password_reset_done = Kind("password_reset_done", facts=("time", "device"))
new_device = Kind("new_device", facts=("time", "device"))
factor_added = Kind("factor_added", facts=("factor", "time", "device"))
factor_removed = Kind("factor_removed", facts=("factor", "time", "device"))
recovery_code_used = Kind("recovery_code_used", facts=("time", "device"))
passkey_refused = Kind("passkey_refused", facts=("time", "device"))  # its counter went back
test = Kind("test", None)  # of an operator

BY_NAME = {
    kind.name: kind
    for kind in (
        reset,
        verification,
        sign_up,
        sign_up_taken,
        email_change,
        email_change_taken,
        email_changed,
        password_changed,
        password_reset_done,
        new_device,
        factor_added,
        factor_removed,
        recovery_code_used,
        passkey_refused,
        test,
    )
}
