"""FLASK_ENV=production names each setting that is too weak, and each that must not be left to its default."""

import pytest

from authservice.config import ConfigurationError, load
from tests.conftest import SECRET

URI = "mongodb://127.0.0.1:27017/authexample"
GOOD = {
    "FLASK_ENV": "production",
    "FLASK_MONGO_URI": URI,
    "FLASK_JWT_SECRET_KEY": SECRET,
    "FLASK_CORS_ORIGINS": "https://app.example.com",
    "FLASK_METRICS": "off",
    "FLASK_TRUSTED_PROXIES": "1",
}
LOSES_WRITES = (
    "FLASK_MONGO_URI must not say w=0, w=1 or journal=false with FLASK_ENV=production: acknowledged writes can be lost"
)


def faults_of(environ):
    with pytest.raises(ConfigurationError) as raised:
        load(environ)
    return raised.value.faults


def test_good_settings_have_no_fault():
    assert load(GOOD)["ENV"] == "production"


def test_everything_at_once():
    faults = faults_of({"FLASK_ENV": "production", "FLASK_BCRYPT_LOG_ROUNDS": "4", "FLASK_PASSWORD_MIN_LENGTH": "1"})
    assert faults == [
        "FLASK_MONGO_URI is required with FLASK_ENV=production: the embedded database is for development",
        "FLASK_BCRYPT_LOG_ROUNDS must be at least 10 with FLASK_ENV=production, not 4",
        "FLASK_PASSWORD_MIN_LENGTH must be at least 8 with FLASK_ENV=production, not 1",
        "FLASK_CORS_ORIGINS is required with FLASK_ENV=production: it has no default there",
        "FLASK_METRICS is required with FLASK_ENV=production: it has no default there",
        "FLASK_TRUSTED_PROXIES is required with FLASK_ENV=production: it has no default there",
    ]


@pytest.mark.parametrize(("name", "lowest"), [("BCRYPT_LOG_ROUNDS", 10), ("PASSWORD_MIN_LENGTH", 8)])
def test_a_number_has_a_floor(name, lowest):
    assert load({**GOOD, f"FLASK_{name}": str(lowest)})[name] == lowest
    fault = f"FLASK_{name} must be at least {lowest} with FLASK_ENV=production, not {lowest - 1}"
    assert faults_of({**GOOD, f"FLASK_{name}": str(lowest - 1)}) == [fault]


@pytest.mark.parametrize("secret", ["a" * 32, "0123456789" * 4, "abcdefghijk" * 3])
def test_a_secret_of_few_different_bytes_is_refused_and_not_repeated(secret):
    assert faults_of({**GOOD, "FLASK_JWT_SECRET_KEY": secret}) == [
        "FLASK_JWT_SECRET_KEY must have at least 12 different bytes with FLASK_ENV=production; "
        "make one with: openssl rand -hex 32"
    ]
    assert load({**GOOD, "FLASK_ENV": "development", "FLASK_JWT_SECRET_KEY": secret})


@pytest.mark.parametrize("secret", ["abcdefghijkl" * 3, "4f6a" * 4 + "0123456789bcde" * 2, "aäöüßéèçñøå" * 2])
def test_a_secret_of_twelve_different_bytes_will_do(secret):
    assert load({**GOOD, "FLASK_JWT_SECRET_KEY": secret})["JWT_SECRET_KEY"] == secret


@pytest.mark.parametrize(
    "options",
    [
        "w=0",
        "w=1",
        "W=1",
        "w=01",
        "w=+1",
        "w=%31",
        "w=",
        "w=1.0",
        "w=-1",
        "w=%20%31",
        "w=\u0661",  # Arabic-Indic 1, which int() takes, and so the driver
        "w=majority&w=1",
        "w=1&w=majority",
        "appname=x;w=1",
        "journal=false",
        "Journal=false",
        "j=false",
        "J=false",
        "j=fals%65",
        "tls=true&w=majority&journal=false",
    ],
)
def test_a_uri_that_may_lose_writes_is_refused(options):
    assert faults_of({**GOOD, "FLASK_MONGO_URI": f"{URI}?{options}"}) == [LOSES_WRITES]
    assert load({**GOOD, "FLASK_ENV": "development", "FLASK_MONGO_URI": f"{URI}?{options}"})


@pytest.mark.parametrize(
    "options", ["w=majority", "w=2", "w=everywhere", "journal=true", "j=true", "wtimeoutMS=1", "appname=w%3D1"]
)
def test_a_uri_that_keeps_its_writes_is_taken(options):
    assert load({**GOOD, "FLASK_MONGO_URI": f"{URI}?{options}"})


@pytest.mark.parametrize("value", ["1", "true", "on"])
def test_flasks_debugger_is_refused(value):
    assert faults_of({**GOOD, "FLASK_DEBUG": value}) == ["FLASK_DEBUG must not be set with FLASK_ENV=production"]
    assert load({**GOOD, "FLASK_DEBUG": "0"})
    assert load({**GOOD, "FLASK_ENV": "development", "FLASK_DEBUG": value})


def test_an_override_of_none_is_the_default_and_passes_no_check(monkeypatch):
    assert load(GOOD, {"BCRYPT_LOG_ROUNDS": None})["BCRYPT_LOG_ROUNDS"] == 12


@pytest.mark.parametrize("name", ["CORS_ORIGINS", "METRICS", "TRUSTED_PROXIES"])
def test_what_has_no_default_there_may_come_from_a_file(name, tmp_path):
    (tmp_path / "value").write_text(GOOD[f"FLASK_{name}"])
    environ = {**GOOD, f"FLASK_{name}_FILE": str(tmp_path / "value")}
    del environ[f"FLASK_{name}"]
    assert load(environ) == load(GOOD)
    del environ[f"FLASK_{name}_FILE"]
    assert faults_of(environ) == [f"FLASK_{name} is required with FLASK_ENV=production: it has no default there"]
