"""FLASK_USERS_FIELDS maps three fields to those of another app, and says what is wrong with any other text."""

import re

import pytest

from authservice.config import load
from authservice.config.users_fields import OUR_FIELDS, UsersFields
from authservice.store import users
from tests.settings.test_faults_are_named_all_at_once import GOOD, faults_of


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("password=encrypted_password", UsersFields(password="encrypted_password")),
        ("disabledAt=blocked,emailVerifiedAt=confirmed", UsersFields(None, "blocked", "confirmed")),
        (" emailVerifiedAt = confirmed_at , password=_hashed ", UsersFields("_hashed", None, "confirmed_at")),
        ("password=a,disabledAt=b-c,emailVerifiedAt=\u00e4", UsersFields("a", "b-c", "\u00e4")),
    ],
)
def test_what_maps(text, fields):
    assert load({**GOOD, "FLASK_USERS_FIELDS": text})["USERS_FIELDS"] == fields


def test_without_the_setting_nothing_is_mapped():
    assert load(GOOD)["USERS_FIELDS"] is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must be pairs separated by commas, such as password=encrypted_password,emailVerifiedAt=confirmed_at"),
        ("encrypted_password", "must be pairs separated by commas"),
        ("password=a,", "must be pairs separated by commas"),
        ("email=mail", "can map password, disabledAt, emailVerifiedAt and no other field, not 'email'"),
        ("Password=a", "can map password, disabledAt, emailVerifiedAt and no other field, not 'Password'"),
        ("password=", "must map password to a field at the top of the document, such as encrypted_password, not to ''"),
        ("password=a.b", "must map password to a field at the top of the document"),
        ("password=$a", "must map password to a field at the top of the document"),
        ("password=a=b", "must map password to a field at the top of the document"),
        ("password=password", "must not map password to password: this service has a field of that name"),
        ("disabledAt=sessions", "must not map disabledAt to sessions: this service has a field of that name"),
        ("password=a,password=b", "maps password twice"),
        ("disabledAt=status,emailVerifiedAt=status", "maps two fields to status; each needs one of its own"),
    ],
)
def test_what_is_wrong_is_named(text, fault):
    (found,) = faults_of(FLASK_USERS_FIELDS=text)
    assert found.startswith(f"FLASK_USERS_FIELDS {fault}")


def test_the_fields_that_are_ours_are_those_of_the_document():
    shape = re.search(r"\{ _id.*\}", users.__doc__, re.DOTALL)[0]
    assert set(re.findall(r"\w+", re.sub(r"<-.*|: \{[^}]*\}", "", shape))) == OUR_FIELDS
