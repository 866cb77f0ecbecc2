"""Bad settings stop the start, all are named at once, and no message contains a secret."""

import pytest

from authservice.config import ConfigurationError, load
from tests.conftest import SECRET

URI = "mongodb://127.0.0.1:27017/authexample"
GOOD = {"FLASK_MONGO_URI": URI, "FLASK_JWT_SECRET_KEY": SECRET}


def faults_of(**environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load({**GOOD, **environ})
    assert str(raised.value) == "\n  - ".join(["the service cannot start:", *raised.value.faults])
    return raised.value.faults


def test_good_settings_have_no_fault():
    settings = load(GOOD)
    assert (settings["MONGO_URI"], settings["JWT_SECRET_KEY"]) == (URI, SECRET)


def test_one_start_with_five_faults_names_all_five():
    faults = faults_of(
        FLASK_MONGO_URI="http://example.com/db",
        FLASK_JWT_SECRET_KEY="short",
        FLASK_BCRYPT_LOG_ROUNDS="31",
        FLASK_CORS_ORIGINS="*",
        FLASK_ENV="prod",
    )
    assert [fault.split()[0] for fault in faults] == [
        "FLASK_MONGO_URI",
        "FLASK_JWT_SECRET_KEY",
        "FLASK_ENV",
        "FLASK_BCRYPT_LOG_ROUNDS",
        "FLASK_CORS_ORIGINS",
    ]


@pytest.mark.parametrize("name", ["users", "Accounts", "app.users", "user-accounts", "_users", "b\u00fccher"])
def test_the_collection_of_users_is_one(name):
    assert load({**GOOD, "FLASK_USERS_COLLECTION": name})["USERS_COLLECTION"] == name


@pytest.mark.parametrize(
    "name", ["", " ", "$users", "us$ers", "system.users", "system.views", ".users", "users.", "a..b", "a b", "x" * 121]
)
def test_the_name_of_no_collection_is_refused(name):
    (fault,) = faults_of(FLASK_USERS_COLLECTION=name)
    assert fault == f"FLASK_USERS_COLLECTION must be the name of a collection, such as users, not {name[:40]!r}"


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("MONGO_TIMEOUT_MS", 50, 60_000),
        ("JWT_ACCESS_TOKEN_EXPIRES", 60, 86_400),
        ("PASSWORD_MIN_LENGTH", 1, 1_024),
        ("BCRYPT_LOG_ROUNDS", 4, 14),
        ("BCRYPT_CONCURRENCY", 1, 64),
        ("BCRYPT_QUEUE", 0, 1_000),
        ("TRUSTED_PROXIES", 0, 10),
    ],
)
def test_a_number_is_whole_and_within_its_bounds(name, lowest, highest):
    for number in (lowest, highest):
        assert load({**GOOD, f"FLASK_{name}": str(number)})[name] == number
    sentence = f"FLASK_{name} must be a whole number from {lowest} to {highest}, not "
    for text in (
        str(lowest - 1),
        str(highest + 1),
        *(
            "",
            " ",
            "true",
            "null",
            "1e3",
            "4.0",
            "0x10",
            "+4",
            "-4",
            "4 ",
            "4\n",
            "1_000",
            "٤",
            "[4]",
            '"4"',
            "9" * 5_000,
        ),
    ):
        assert faults_of(**{f"FLASK_{name}": text}) == [f"{sentence}{text[:40]!r}"]


@pytest.mark.parametrize("text", ["true", "null", "1e3", "12", "prod", "Production", ""])
def test_the_environment_is_one_of_two_words(text):
    assert faults_of(FLASK_ENV=text) == [f"FLASK_ENV must be development or production, not {text!r}"]


@pytest.mark.parametrize("text", ["true", "null", "1e3", "instance", "./instance", "~/instance", ""])
def test_the_instance_folder_is_an_absolute_path(text):
    assert faults_of(FLASK_INSTANCE_PATH=text) == [f"FLASK_INSTANCE_PATH must be an absolute path, not {text!r}"]


@pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_an_issuer_and_an_audience_are_not_empty(name):
    assert faults_of(**{f"FLASK_{name}": ""}) == [f"FLASK_{name} must not be empty"]
    assert load({**GOOD, f"FLASK_{name}": "null"})[name] == "null"  # text, not JSON
