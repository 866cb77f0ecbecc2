"""The profile: fields that an app adds to its users, by the marshmallow schema in PROFILE."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, missing, post_dump
from marshmallow.fields import Field

from authservice.config import ConfigurationError, import_named
from authservice.state import current_state, in_app
from authservice.store.profile_values import UnfitValue, plain, storable
from authservice.web.parsing import Body, fault

# All other members of the bodies that contain the fields. A test compares them with the schemas.
RESERVED = frozenset(
    {"id", "email", "emailVerified", "password", "roles", "createdAt", "disabled", "language", "sessions"}
    | {"profile", "altcha"}
)
OF_CONFIRMATION = frozenset({"token", "signUpId", "code"})  # of private sign-up


@dataclass(frozen=True, eq=False)
class Profile:
    """A schema whose values are under ``profile`` in the user's document, each under its field's ``attribute``."""

    schema: Schema
    attributes: tuple[str, ...]

    def load(self, sent: Mapping[str, Any], *, is_change: bool) -> dict[str, Any]:
        """The values to store. A change needs only some fields, but each of its values must be complete.

        Raises ValidationError.
        """
        partial = tuple(self.schema.load_fields) if is_change else None
        with in_app():
            loaded = self.schema.load(sent, many=False, partial=partial)
        if not isinstance(loaded, Mapping):  # a post_load of the app's may make anything
            detail = f"The app's schema made a {type(loaded).__name__} of the fields, not a dict."
            raise ValidationError({"_schema": fault("invalid", detail)})
        try:
            values: dict[str, Any] = storable(loaded)
        except UnfitValue as unfit:
            raise ValidationError(self._messages(unfit)) from None
        return values

    def dump(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What is shown. If another stack stored a value that does not fit its field, the value is left out."""
        with in_app():
            return {name: plain(value) for name, value in self._dump(stored).items()}

    def _dump(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        try:
            shown.update(self.schema.dump(stored, many=False))
        except Exception:  # a field may raise anything for such a value
            for name, field in self.schema.dump_fields.items():
                with suppress(Exception):
                    value = field.serialize(name, stored, self.schema.get_attribute)
                    if value is not missing:
                        shown[name if field.data_key is None else field.data_key] = value
        return shown

    def _messages(self, unfit: UnfitValue) -> dict[str | int, Any]:
        """As marshmallow's tree of messages, under the name that was sent."""
        names = {key: wire_name for wire_name, key in names_of(self.schema.load_fields).items()}
        attribute, *path = unfit.path
        messages: Any = fault(unfit.code, unfit.detail)
        for step in (*reversed(path), names.get(str(attribute), attribute)):
            messages = {step: messages}
        found: dict[str | int, Any] = messages
        return found


class ProfiledBody(Body):
    """A body with the profile's fields next to its own. It loads their values into ``profile``."""

    is_change = False

    def load(self, data: Any, **options: Any) -> Any:
        profile = current_state().profile
        if self.is_change and data == {}:
            raise ValidationError({"_schema": fault("required", "Send at least one field.")})
        if profile is None or not isinstance(data, Mapping):
            return super().load(data, **options)
        names = names_of(profile.schema.load_fields)
        messages: dict[str, Any] = {}
        loaded: dict[str, Any] = {}
        try:
            loaded |= super().load({name: data[name] for name in data if name not in names}, **options)
        except ValidationError as error:
            messages |= error.messages_dict
        try:
            theirs = {name: data[name] for name in data if name in names}
            loaded["profile"] = {} if self.is_change and not theirs else profile.load(theirs, is_change=self.is_change)
        except ValidationError as error:
            messages |= error.messages_dict
        if messages:
            raise ValidationError(messages)
        return loaded


class ProfiledSchema(Schema):
    """An answer about a user, with the profile's fields next to its own."""

    @post_dump(pass_original=True)
    def add_profile(self, shown: dict[str, Any], user: Any, **kwargs: Any) -> dict[str, Any]:
        profile = current_state().profile
        if profile is None:
            return shown
        stored = user["profile"] if isinstance(user, Mapping) else user.profile
        return {**shown, **profile.dump(stored), **shown}


def of_settings(settings: Mapping[str, Any]) -> Profile | None:
    """The profile that PROFILE names. Raises ConfigurationError, which names every fault."""
    found = import_named("FLASK_PROFILE", settings["PROFILE"])
    if found is None:
        return None
    try:
        schema = found() if isinstance(found, type) and issubclass(found, Schema) else found
    except Exception as error:
        raise ConfigurationError([f"FLASK_PROFILE: the schema cannot be made: {type(error).__name__}"]) from None
    if not isinstance(schema, Schema):
        kind = found.__name__ if isinstance(found, type) else type(found).__name__
        raise ConfigurationError([f"FLASK_PROFILE must be a marshmallow Schema, not {kind}"])
    names = dict.fromkeys([*names_of(schema.load_fields).items(), *names_of(schema.dump_fields).items()])
    reserved = RESERVED | OF_CONFIRMATION if settings["SIGN_UP"] == "private" else RESERVED
    faults = [f"FLASK_PROFILE: {sentence}" for pair in names for sentence in _faults_of(*pair, reserved)]
    if faults:
        raise ConfigurationError(faults)
    return Profile(schema, tuple(dict.fromkeys(attribute for _, attribute in names)))


def names_of(fields: Mapping[str, Field[Any]]) -> dict[str, str]:
    """For each name in JSON, the name under ``profile``."""
    return {
        name if field.data_key is None else field.data_key: name if field.attribute is None else field.attribute
        for name, field in fields.items()
    }


def _faults_of(shown: str, attribute: str, reserved: frozenset[str]) -> Iterable[str]:
    if shown in reserved:
        yield f"the name {shown!r} is reserved"
    for text in {shown: None, attribute: None}:
        if not text or text.startswith(("$", "_")) or "." in text or "\0" in text:
            yield f"the name {text!r} must not be empty, start with $ or _, or hold a dot or NUL"
    if attribute in dir(dict):  # marshmallow would show the method of a dict that has no such key
        yield f"the attribute {attribute!r} is a method of a dict; name another one with attribute="
