"""E-mail addresses: which ones may sign up, and the normal form in which each is stored."""

import unicodedata
from dataclasses import dataclass

import email_validator

EMAIL_MAX_CHARACTERS = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets


@dataclass(frozen=True)
class Address:
    """An address in its normal form, and as ``spellings`` has it."""

    normal: str
    spellings: tuple[str, ...]


def is_address(typed: str) -> bool:
    """Whether the syntax is that of an address. Sends no DNS query."""
    if len(typed.strip()) > EMAIL_MAX_CHARACTERS:
        return False  # before parsing, which is quadratic in places
    try:
        normal = email_validator.validate_email(typed.strip(), check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        return False
    return len(normal) <= EMAIL_MAX_CHARACTERS


def normal_form(typed: str) -> str:
    """Trimmed, NFC and lower case; an internationalised domain in Unicode."""
    return _normal_and_ascii(typed)[0]


def spellings(typed: str) -> tuple[str, ...]:
    """How another stack may have stored the same address: first as typed, then the normal form.

    Browsers send an internationalised domain in ASCII (RFC 5891), and some systems decompose letters. The database
    ignores case.
    """
    return _spellings(typed, *_normal_and_ascii(typed))


def read(typed: str) -> Address | None:
    """``is_address``, ``normal_form`` and ``spellings`` at the price of one, for many addresses. None if it is none."""
    trimmed = unicodedata.normalize("NFC", typed.strip())
    if len(trimmed) > EMAIL_MAX_CHARACTERS:
        return None
    try:
        found = email_validator.validate_email(trimmed, check_deliverability=False)
    except email_validator.EmailNotValidError:
        return None
    if len(found.normalized) > EMAIL_MAX_CHARACTERS:
        return None
    normal, in_ascii = _of_validated(found)
    return Address(normal, _spellings(typed, normal, in_ascii))


def folded(address: str) -> str:
    """A form that is the same for all addresses that the database's index takes for one."""
    return unicodedata.normalize("NFKC", address.casefold())


def for_envelope(address: str) -> str | None:
    """The address as a mail server takes it: in ASCII, if only its domain is international. None if it is none.

    With other letters before the @ there is no such form, and the server must know SMTPUTF8 (RFC 6531).
    An address that begins an encoded word (RFC 2047) is none: programs, among them Python's own parser, decode it, with
    the line breaks that it may hide. Nobody's address has =? in it.
    """
    if "=?" in address or not is_address(address):
        return None
    found = email_validator.validate_email(address.strip(), check_deliverability=False)
    return found.ascii_email or found.normalized


def _normal_and_ascii(typed: str) -> tuple[str, str]:
    """The normal form, and the same with the domain in ASCII."""
    trimmed = unicodedata.normalize("NFC", typed.strip())
    try:
        found = email_validator.validate_email(trimmed, check_deliverability=False)
    except email_validator.EmailNotValidError:
        normal = unicodedata.normalize("NFC", trimmed.lower())  # another stack may have accepted it
        return normal, normal
    return _of_validated(found)


def _of_validated(found: email_validator.ValidatedEmail) -> tuple[str, str]:
    # NFC again: some capital letters have no composed form, but their lower-case letters have one.
    in_ascii = f"{found.local_part}@{found.ascii_domain}"
    return unicodedata.normalize("NFC", found.normalized.lower()), unicodedata.normalize("NFC", in_ascii.lower())


def _spellings(typed: str, normal: str, in_ascii: str) -> tuple[str, ...]:
    every = (typed.strip(), normal, in_ascii, *(unicodedata.normalize("NFD", one) for one in (normal, in_ascii)))
    return tuple(dict.fromkeys(every))
