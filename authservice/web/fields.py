"""The fields of request bodies and queries. Every fault that they find has a code."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from authservice.security import emails
from authservice.state import current_state
from authservice.web.parsing import fault

PASSWORD_MAX_CHARACTERS = 1_024
_TEXT_MESSAGES: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": fault("required", "This field is required."),
    "null": fault("wrong_type", "Send a string."),
    "invalid": fault("wrong_type", "Send a string."),
    "invalid_utf8": fault("wrong_type", "Send a string."),
}


def pattern(regex: str, code: str, detail: str) -> Callable[[str], None]:
    """A check that the whole text matches."""

    def check(text: str) -> None:
        if not re.fullmatch(regex, text):
            raise ValidationError(fault(code, detail))

    return check


def at_most(count: int, things: str) -> Callable[[list[Any]], None]:
    """A check of a list's length."""

    def check(values: list[Any]) -> None:
        if len(values) > count:
            raise ValidationError(fault("too_many", f"Send at most {count} {things}."))

    return check


def _check_new_email(typed: str) -> None:
    if not emails.is_address(typed):
        raise ValidationError(fault("invalid_email", "Send an e-mail address such as natalie@example.com."))


def _check_email(typed: str) -> None:
    if len(typed.strip()) > emails.EMAIL_MAX_CHARACTERS:
        raise ValidationError(fault("too_long", f"Use at most {emails.EMAIL_MAX_CHARACTERS} characters."))


def _check_password(password: str) -> None:
    if "\0" in password:  # for bcrypt "ab" equals "ab\0ab"
        raise ValidationError(fault("invalid_character", "Use any characters but NUL."))
    if not password:
        raise ValidationError(fault("too_short", "Send a password."))
    if len(password) > PASSWORD_MAX_CHARACTERS:
        raise ValidationError(fault("too_long", f"Use at most {PASSWORD_MAX_CHARACTERS} characters."))


def _check_new_password(password: str) -> None:
    _check_password(password)
    least: int = current_state().settings["PASSWORD_MIN_LENGTH"]
    if len(password) < least:
        raise ValidationError(fault("too_short", f"Use at least {least} characters."))


class Text(fields.String):
    """A string."""

    default_error_messages = _TEXT_MESSAGES
    checks: ClassVar[tuple[Callable[[str], None], ...]] = ()
    described: ClassVar[Mapping[str, Any]] = {}  # what the documentation says about every field of this kind

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(metadata={**self.described, **(metadata or {})}, **{"validate": self.checks, **kwargs})


class NewEmail(Text):
    """The e-mail address of a new account. The value stays as it was typed."""

    checks = (_check_new_email,)
    described = {"format": "email", "maxLength": emails.EMAIL_MAX_CHARACTERS, "example": "natalie@example.com"}


class Email(Text):
    """The e-mail address of an account that may exist. Another stack may have accepted what sign-up refuses."""

    checks = (_check_email,)
    described = {"maxLength": emails.EMAIL_MAX_CHARACTERS, "example": "natalie@example.com"}


class Password(Text):
    """A password to check: anything that could ever have been set."""

    checks = (_check_password,)
    described = {
        "format": "password",
        "minLength": 1,
        "maxLength": PASSWORD_MAX_CHARACTERS,
        "example": "correct horse battery",
    }


class NewPassword(Password):
    """A password to set: PASSWORD_MIN_LENGTH code points or more."""

    checks = (_check_new_password,)
    described = {
        **Password.described,
        "description": f"PASSWORD_MIN_LENGTH (8) to {PASSWORD_MAX_CHARACTERS} code points, any but NUL. "
        "What attackers try first is refused: codes `password_common`, `password_context`, "
        "`password_breached`.",
    }


def _check_language(language: str) -> None:
    languages: tuple[str, ...] = current_state().settings["MAIL_LANGUAGES"]
    if language not in languages:
        raise ValidationError(fault("unknown_value", f"Send {' or '.join(languages)}."))


class Language(Text):
    """One of MAIL_LANGUAGES, as they are written there."""

    checks = (_check_language,)


class Choice(Text):
    """One of a few words."""

    def __init__(self, *words: str, metadata: Mapping[str, Any], **kwargs: Any) -> None:
        one_of = pattern("|".join(words), "unknown_value", f"Send {' or '.join(words)}.")
        super().__init__(validate=one_of, metadata={**metadata, "enum": [*words]}, **kwargs)


class Number(fields.Integer):
    """A whole number of a query, from ``lowest`` to ``highest``."""

    def __init__(self, lowest: int, highest: int, *, metadata: Mapping[str, Any], **kwargs: Any) -> None:
        message: Any = fault("out_of_range", f"Send a whole number from {lowest} to {highest}.")

        def check(number: int) -> None:
            if not lowest <= number <= highest:
                raise ValidationError(message)

        super().__init__(
            validate=check,
            error_messages={"invalid": message, "null": message, "too_large": message},
            metadata={**metadata, "minimum": lowest, "maximum": highest},
            **kwargs,
        )


class Credential(fields.Dict):
    """What a passkey has answered, as ``PublicKeyCredential.toJSON()`` gives it. The service reads it strictly."""

    default_error_messages = {**_TEXT_MESSAGES, "invalid": fault("wrong_type", "Send an object.")}

    def __init__(self, **kwargs: Any) -> None:
        described = {"description": "The `PublicKeyCredential` of the browser, by its `toJSON()`"}
        super().__init__(keys=fields.String(), metadata=described, **kwargs)


class Flag(fields.Boolean):
    """true or false, and nothing that looks like it."""

    truthy = {True}
    falsy = {False}
    default_error_messages = {**_TEXT_MESSAGES, "invalid": fault("wrong_type", "Send true or false.")}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):  # 1 equals True, and a validator would see only what it became
            raise self.make_error("invalid", input=value)
        return value
