"""A profile that cannot work stops the start, and the setting is named."""

import pytest
import requests
from marshmallow import Schema, fields

from authservice.admin.schemas import AdminUserDetailSchema
from authservice.config import ConfigurationError
from authservice.sign_ups.schemas import SignUpSchema
from authservice.web.profile import RESERVED
from tests.api.answers import assert_ok
from tests.conftest import ALICE, PASSWORD, sign_in
from tests.sessions.commands import Commands, heard


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("tests.profile.schemas", "FLASK_PROFILE must be package.module:name"),
        ("no.such.module:Schema", "FLASK_PROFILE cannot be imported: No module named 'no'"),
        ("tests.profile.schemas:Nothing", "tests.profile.schemas has no Nothing"),
        ("tests.profile.schemas:fields", "FLASK_PROFILE must be a marshmallow Schema, not module"),
        ("marshmallow.fields:String", "FLASK_PROFILE must be a marshmallow Schema, not String"),
        (42, "FLASK_PROFILE must be a marshmallow Schema, not int"),
    ],
)
def test_what_is_no_schema_is_refused(make_app, value, said):
    with pytest.raises(ConfigurationError, match=said):
        make_app(PROFILE=value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_refused_however_they_are_given(make_app, name):
    for schema in ({name: fields.String()}, {"other": fields.String(data_key=name)}):
        with pytest.raises(ConfigurationError, match=f"'{name}' is reserved"):
            make_app(PROFILE=Schema.from_dict(schema))


@pytest.mark.parametrize("name", ["", "$where", "a.b", "_id", "__class__", "nul\0"])
def test_names_that_mean_something_to_the_database_are_refused(make_app, name):
    for schema in ({"other": fields.String(data_key=name)}, {"other": fields.String(attribute=name)}):
        with pytest.raises(ConfigurationError, match="must not"):
            make_app(PROFILE=Schema.from_dict(schema))


@pytest.mark.parametrize("name", ["items", "keys", "get"])
def test_methods_of_a_dict_are_no_attributes(make_app, name):
    with pytest.raises(ConfigurationError, match="method of a dict"):
        make_app(PROFILE=Schema.from_dict({name: fields.Raw()}))
    make_app(PROFILE=Schema.from_dict({name: fields.Raw(attribute="other")}))


def test_all_faults_are_named_at_once(make_app):
    schema = Schema.from_dict({"email": fields.String(), "id": fields.String(), "$x": fields.String()})
    with pytest.raises(ConfigurationError) as refusal:
        make_app(PROFILE=schema)
    assert len(refusal.value.faults) == 3


def test_a_schema_that_cannot_be_made_is_refused_without_its_words(make_app):
    class Broken(Schema):
        def __init__(self):
            raise RuntimeError(PASSWORD)

    with pytest.raises(ConfigurationError, match="RuntimeError") as refusal:
        make_app(PROFILE=Broken)
    assert PASSWORD not in str(refusal.value)


def test_every_other_member_of_the_bodies_is_reserved():
    assert {*SignUpSchema().fields, *AdminUserDetailSchema().fields} <= RESERVED


def test_a_variable_names_it(serve):
    service = serve(workers=1, FLASK_PROFILE="tests.profile.schemas:PetSchema")
    person = {"email": ALICE, "password": PASSWORD, "pet": "Rex"}
    created = requests.post(f"{service.url}/users", json=person, timeout=10)
    assert (created.status_code, created.json()["pet"]) == (201, "Rex")


def test_two_fields_may_share_a_name_for_the_two_directions(make_app):
    schema = Schema.from_dict(
        {
            "given": fields.String(data_key="motto", attribute="said", load_only=True),
            "shown": fields.Function(lambda stored: stored["said"].upper(), data_key="motto"),
        }
    )
    client = make_app(PROFILE=schema).test_client()
    person = {"email": ALICE, "password": PASSWORD, "motto": "hello"}
    assert assert_ok(client.post("/users", json=person), 201)["motto"] == "HELLO"
    assert sign_in(client, ALICE)["user"]["motto"] == "HELLO"


def test_the_guard_reads_the_fields_in_its_one_read_and_nothing_more(make_app):
    with heard(Commands()) as commands:
        client = make_app(PROFILE="tests.profile.schemas:PetSchema").test_client()
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD, "pet": "Rex"}), 201)
        headers = {"Authorization": f"Bearer {sign_in(client, ALICE)['token']}"}
        commands.seen.clear()
        assert assert_ok(client.get("/users/me", headers=headers))["pet"] == "Rex"
    (command,) = commands.seen
    assert command["projection"].keys() >= {"profile.pet", "profile.name"}
    assert "profile" not in command["projection"]
