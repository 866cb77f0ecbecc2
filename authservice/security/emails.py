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
    trimmed = unicodedata.normalize("NFC", typed.strip())
    try:
        spelling = email_validator.validate_email(trimmed, check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        spelling = trimmed  # another stack may have let it in
    # Once more: some capitals have no composed form where their small letters have one.
    return unicodedata.normalize("NFC", spelling.lower())
