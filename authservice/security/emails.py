"""E-mail addresses: which ones may sign up, and the one spelling under which each is kept."""

import unicodedata

import email_validator

EMAIL_MAX_CHARACTERS = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets


def is_address(typed: str) -> bool:
    """Whether the syntax is that of an address; no DNS is asked."""
    if len(typed.strip()) > EMAIL_MAX_CHARACTERS:
        return False  # before any parsing: it is quadratic in places
    try:
        normal = email_validator.validate_email(typed.strip(), check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        return False
    return len(normal) <= EMAIL_MAX_CHARACTERS


def normal_form(typed: str) -> str:
    """Trimmed, NFC and lower case, an internationalised domain in its Unicode form."""
    return _normal_and_ascii(typed)[0]


def spellings(typed: str) -> tuple[str, ...]:
    """Under which another stack may keep the same address: first as it is typed, then its normal form.

    Browsers hand over an internationalised domain in its ASCII form (RFC 5891), and some systems decompose letters.
    Case is left to the database.
    """
    normal, in_ascii = _normal_and_ascii(typed)
    every = (typed.strip(), normal, in_ascii, *(unicodedata.normalize("NFD", one) for one in (normal, in_ascii)))
    return tuple(dict.fromkeys(every))


def _normal_and_ascii(typed: str) -> tuple[str, str]:
    """The normal form, and the same with the domain in ASCII."""
    trimmed = unicodedata.normalize("NFC", typed.strip())
    try:
        found = email_validator.validate_email(trimmed, check_deliverability=False)
    except email_validator.EmailNotValidError:
        normal = in_ascii = trimmed  # another stack may have let it in
    else:
        normal, in_ascii = found.normalized, f"{found.local_part}@{found.ascii_domain}"
    # Once more: some capitals have no composed form where their small letters have one.
    return unicodedata.normalize("NFC", normal.lower()), unicodedata.normalize("NFC", in_ascii.lower())
