"""How many mails may be asked for to one address. They count even if FLASK_LIMITS is off: nobody may flood others."""

from authservice.config import Rate
from authservice.limits import units
from authservice.security import emails
from authservice.state import current_state
from authservice.store import limits as store
from authservice.store.limits import Unit

_AGAIN = Rate(1, 60)  # the same mail again, no sooner
_RATES = {units.MAILS_HOUR: Rate(3, 3_600), units.MAILS_DAY: Rate(10, 86_400)}  # to an address, whatever it asks for

_NOTICES = Rate(10, 86_400)  # of a kind, to an address that may be somebody else's


def admits(kind: str, email: str) -> bool:
    """Take the units of one more mail of the kind to the address. False if there are none: then send nothing.

    Raises DatabaseUnavailable.
    """
    limits, subject = current_state().limits, units.account_subject(emails.normal_form(email))
    again = Unit(units.key_of(limits, units.MAILS_AGAIN, subject, kind), _AGAIN)
    all_kinds = [Unit(units.key_of(limits, name, subject), rate) for name, rate in _RATES.items()]
    return store.take_units([again, *all_kinds]) is None


def admits_notice(kind: str, email: str) -> bool:
    """The same for a notice to an address that is not proven: a squatter must not flood its mailbox by signing in.

    Nothing else takes these units, so no thief can suppress the first notices. Raises DatabaseUnavailable.
    """
    limits, subject = current_state().limits, units.account_subject(emails.normal_form(email))
    return store.take_units([Unit(units.key_of(limits, units.MAILS_DAY, subject, kind), _NOTICES)]) is None
