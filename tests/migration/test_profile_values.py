"""The values of exports of all kinds, and of documents in place, read as the same."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from bson import Binary, Decimal128, Int64, ObjectId

from authservice.migration.profiles import values
from tests.migration.records import CREATED, FORMS, OBJECT_ID

UUID = uuid.UUID("8f3b6a52-6a2e-4d3a-9c07-0c6d6a4f2e11")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (OBJECT_ID, str(OBJECT_ID)),
        ({"$oid": str(OBJECT_ID)}, str(OBJECT_ID)),
        ("BJ8yXWq2NhKZZxDk5", "BJ8yXWq2NhKZZxDk5"),
        (7, "7"),
        (7.0, "7"),
        (Int64(7), "7"),
        ({"$numberInt": "7"}, "7"),
        ({"$numberLong": "7"}, "7"),
        ({"$numberDouble": "7.0"}, "7"),
        (UUID, UUID.hex),
        (Binary(UUID.bytes, 4), UUID.hex),
        ({"$uuid": str(UUID)}, UUID.hex),
        ({"$binary": {"base64": "jztqUmouTTqcBwxtak8uEQ==", "subType": "04"}}, UUID.hex),
    ],
)
def test_an_id_of_any_type_reads_as_text(value, expected):
    assert values.identifier(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        True,
        False,
        1.5,
        [],
        {},
        {"$oid": []},
        "a" * 201,
        "a\0b",
        "\ud800",
        b"",
        2**63,
        float("nan"),
        Decimal128("1"),
    ],
)
def test_what_cannot_be_an_id_is_none(value):
    assert values.identifier(value) is None


@pytest.mark.parametrize(
    "value",
    [
        CREATED,
        CREATED.replace(tzinfo=None),
        {"$date": "2019-05-04T03:02:01.234Z"},
        {"$date": {"$numberLong": "1556938921234"}},
        {"$date": 1556938921234},
        "2019-05-04T03:02:01.234Z",
        "2019-05-04T05:02:01.234+02:00",
        "2019-05-04 03:02:01.234567+00",
        "2019-05-04 03:02:01.234",
        "2019-05-04 03:02:01.234 UTC",
        "1556938921234",
        1556938921234,
        1556938921.234,
    ],
)
def test_a_time_reads_in_every_way_that_exports_write_it(value):
    assert values.moment(value) == CREATED


def test_a_number_of_seconds_is_told_from_one_of_milliseconds():
    assert values.moment(1556938921) == datetime(2019, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        True,
        [],
        {},
        {"$date": "x"},
        {"$date": {}},
        10**30,
        float("inf"),
        float("nan"),
        "9" * 18,
        "1" * 99,
    ],
)
def test_what_is_no_time_is_none(value):
    assert values.moment(value) is None


@pytest.mark.parametrize("value", [True, "true", "TRUE", "t", "1", 1, {"$numberInt": "1"}, "yes"])
def test_a_yes(value):
    assert values.since(value) is True
    assert values.since_at_all(value) is True


@pytest.mark.parametrize("value", [None, False, "false", "f", "0", 0, "", "NO", {"$numberLong": "0"}])
def test_a_no(value):
    assert values.since(value) is None
    assert values.since_at_all(value) is None


def test_a_date_says_since_when():
    assert values.since(CREATED) == CREATED
    assert values.since_at_all({"$date": "2019-05-04T03:02:01.234Z"}) == CREATED


@pytest.mark.parametrize("value", ["spam", [1], {"by": "admin"}])
def test_what_is_unclear_locks_out_and_verifies_nothing(value):
    assert values.since(value) is None
    assert values.since_at_all(value) is True


def test_a_lock_lasts_if_it_ends_more_than_a_day_ahead():
    now = datetime.now(UTC)
    assert values.lasts(now + timedelta(hours=25))
    assert not values.lasts(now + timedelta(hours=23))
    assert not values.lasts(now - timedelta(days=400))
    assert not values.lasts(None)


def test_a_path_leads_through_objects_and_is_a_column_of_mongoexport():
    assert values.at({"services": {"password": {"bcrypt": "x"}}}, "services.password.bcrypt") == "x"
    assert values.at({"services.password.bcrypt": "x"}, "services.password.bcrypt") == "x"
    assert values.at({"services": ["password"]}, "services.password.bcrypt") is None
    assert values.at(None, "services") is None


@pytest.mark.parametrize("text", ["-_8=", "-_8", "+/8=", "+/8", " +/8=\n"])
def test_base64_of_both_alphabets_with_and_without_padding(text):
    assert values.base64_bytes(text) == b"\xfb\xff"


@pytest.mark.parametrize("text", ["*", "a", "+/8=x", None, 5, "ä"])
def test_what_is_no_base64_is_none(text):
    assert values.base64_bytes(text) is None


@pytest.mark.parametrize("text", ["abc", "0x", " ab", "", None, 5])
def test_what_is_no_hexadecimal_is_none(text):
    assert values.hex_bytes(text) is None


def test_an_object_id_and_its_text_are_one_id():
    assert values.identifier(ObjectId(str(OBJECT_ID))) == values.identifier({"$oid": str(OBJECT_ID)})


@pytest.mark.parametrize(
    "value",
    [
        {"when": CREATED, "who": OBJECT_ID, "many": [Int64(2**40), 5, 1.5, "x", None, True]},
        {"raw": b"\x00\xff", "id": Binary(UUID.bytes, 4), "none": {}, "deep": [[{"when": CREATED}]]},
        float("inf"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_extended_json_of_any_depth_reads_as_the_types_that_it_stands_for(form, value):
    assert values.decoded(form({"value": value})["value"]) == value


@pytest.mark.parametrize(
    "value",
    [
        *(
            {"$where": "1"},
            {"$regex": "a", "$options": ""},
            {"$oid": "x"},
            {"$oid": 5},
            {"$date": "soon"},
            {"$binary": 5},
        ),
        *({"$binary": {"base64": "AA==", "subType": "x"}}, {"$numberLong": "x"}, {"$numberDouble": "x"}, {"$ne": None}),
        *({"$numberDouble": 5}, {"a": 1, "$b": 2}),
    ],
)
def test_an_object_with_a_dollar_sign_that_is_no_type_is_none(value):
    assert values.decoded(value) is None
