"""FLASK_MONGO_URI: bad values are refused without repeating the password, and its options win over ours."""

import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference

from authservice import create_app
from authservice.config import ConfigurationError, load
from tests.conftest import SECRET, state_of

PASSWORD_IN_URI = "hunter2-of-the-database"
NOT_A_URI = "is not a URI such as mongodb://127.0.0.1:27017/authexample"
NO_HOST = "must start with mongodb:// or mongodb+srv:// and name a host"
NO_DATABASE = "must name the database after the host, such as mongodb://127.0.0.1:27017/authexample"


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("", NO_HOST),
        ("null", NO_HOST),
        ("true", NO_HOST),
        ("1e3", NO_HOST),
        ("localhost:27017/db", NO_HOST),
        (f"http://root:{PASSWORD_IN_URI}@db/x", NO_HOST),
        (f"postgres://root:{PASSWORD_IN_URI}@db/x", NO_HOST),
        ("mongodb:///authexample", NO_HOST),
        ("mongodb://", NO_HOST),
        (f"mongodb://root:{PASSWORD_IN_URI}@[::1/x", NOT_A_URI),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:27017", NO_DATABASE),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:27017/", NO_DATABASE),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:27017/?w=1", NO_DATABASE),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:27017/a.b", NO_DATABASE),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:27017/a/b", NO_DATABASE),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:27017/{'x' * 64}", NO_DATABASE),
        (f"mongodb+srv://root:{PASSWORD_IN_URI}@cluster.example.com", NO_DATABASE),
    ],
)
def test_a_uri_that_cannot_work_is_refused_without_a_word_of_it(uri, fault):
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_MONGO_URI": uri, "FLASK_JWT_SECRET_KEY": SECRET})
    assert raised.value.faults == [f"FLASK_MONGO_URI {fault}"]
    assert PASSWORD_IN_URI not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        (f"mongodb://root:{PASSWORD_IN_URI}@db:99999/x", "ValueError"),
        (f"mongodb://root:{PASSWORD_IN_URI}@db:port/x", "ValueError"),
        (f"mongodb://ro@ot:{PASSWORD_IN_URI}@db/x", "InvalidURI"),
        (f"mongodb://root:{PASSWORD_IN_URI}%zz@db/x", "InvalidURI"),
        (f"mongodb://root:{PASSWORD_IN_URI}@db/x?timeoutMS=soon", "ValueError"),
        (f"mongodb://root:{PASSWORD_IN_URI}@db/x?tls=maybe", "ValueError"),
        (f"mongodb://root:{PASSWORD_IN_URI}@db/x?w=0&journal=true", "ConfigurationError"),
        (f"mongodb://root:{PASSWORD_IN_URI}@db/x?tlsCAFile=/nowhere/ca.pem", "FileNotFoundError"),
        (f"mongodb+srv://root:{PASSWORD_IN_URI}@a,b/x", "InvalidURI"),
    ],
)
def test_a_uri_that_the_driver_refuses_stops_the_start_without_a_word_of_it(uri, error):
    with pytest.raises(ConfigurationError) as raised:
        create_app({"MONGO_URI": uri, "JWT_SECRET_KEY": SECRET})
    assert raised.value.faults == [
        f"FLASK_MONGO_URI is refused by the driver ({error}): percent-encode its user name and password, "
        "and check its hosts, ports and options"
    ]
    assert PASSWORD_IN_URI not in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://127.0.0.1:27017/authexample",
        "mongodb://a:27017,b:27018/authexample?replicaSet=rs0",
        "mongodb://user:p%40ss@[::1]:27017/authexample?authSource=admin",
        "mongodb+srv://user:pass@cluster.example.com/authexample",
    ],
)
def test_a_uri_that_can_work_is_taken_as_it_is(uri):
    assert load({"FLASK_MONGO_URI": uri, "FLASK_JWT_SECRET_KEY": SECRET})["MONGO_URI"] == uri


def users_of(uri, **more):
    return state_of(create_app({"MONGO_URI": uri, "JWT_SECRET_KEY": SECRET, **more})).users


def client_of(uri, **more):
    return users_of(uri, **more).database.client


def test_what_the_uri_leaves_open_is_set_for_safety():
    client = client_of("mongodb://127.0.0.1:1/authexample")
    assert client.options.timeout == 1.5
    assert client.write_concern.document == {"w": "majority", "j": True}
    assert client.codec_options == CodecOptions(
        tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
    )
    assert users_of("mongodb://127.0.0.1:1/authexample").database.name == "authexample"


def test_a_lagging_secondary_is_never_asked_who_may_pass():
    users = users_of("mongodb://127.0.0.1:1/authexample?readPreference=secondary")
    assert users.read_preference == ReadPreference.PRIMARY


def test_what_the_uri_says_wins():
    said = "timeoutMS=700&w=1&journal=false&tz_aware=false&appname=theirs&MAXPOOLSIZE=3"
    users = users_of(f"mongodb://127.0.0.1:1/other?{said}")
    client = users.database.client
    assert client.options.timeout == 0.7
    assert client.options.pool_options.max_pool_size == 3
    assert client.write_concern.document == {"w": 1, "j": False}
    assert client.codec_options.tz_aware is True  # or the service could not compare a time with its own
    assert client.options.pool_options.appname == "theirs"
    assert users.database.name == "other"


def test_the_time_out_is_a_setting():
    assert client_of("mongodb://127.0.0.1:1/x", MONGO_TIMEOUT_MS=250).options.timeout == 0.25
