"""The settings of passkeys: one domain, and the pages and apps at it."""

import pytest

from authservice.config import ConfigurationError, load
from tests.conftest import SECRET
from tests.settings.test_mail_settings import PRODUCTION

HASH = "a" * 43
DATABASE = {"FLASK_MONGO_URI": "mongodb://127.0.0.1:27017/authexample", "FLASK_JWT_SECRET_KEY": SECRET}


def given(rp_id="example.com", origins="https://example.com", **more):
    return {"FLASK_PASSKEY_RP_ID": rp_id, "FLASK_PASSKEY_ORIGINS": origins, **more}


def fault_of(environ):
    with pytest.raises(ConfigurationError) as raised:
        load(environ)
    (fault,) = raised.value.faults
    return fault


@pytest.mark.parametrize(
    ("rp_id", "origins"),
    [
        ("example.com", "https://example.com"),
        ("example.com", f"https://a.b.example.com:8443, android:apk-key-hash:{HASH}"),
        ("example.com", f"android:apk-key-hash:{HASH}"),
        ("localhost", "http://localhost:3000,http://localhost,https://localhost:4443"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("intranet", "https://intranet"),
    ],
)
def test_a_domain_and_the_origins_at_it(rp_id, origins):
    values = load(given(rp_id, origins))
    assert values["PASSKEY_RP_ID"] == rp_id
    assert values["PASSKEY_ORIGINS"] == tuple(origin.strip() for origin in origins.split(","))


@pytest.mark.parametrize(
    "rp_id", ["", "127.0.0.1", "[::1]", "::1", "1.2", "https://example.com", "example.com:443", "Example.com", "a..b"]
)
def test_no_domain(rp_id):
    assert fault_of(given(rp_id)).startswith("FLASK_PASSKEY_RP_ID must be the domain of your pages")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "null",
        "example.com",
        "https://example.com/",
        "https://*.example.com",
        "https://EXAMPLE.com",
        "https://example.com:443",
        "http://example.com",
        "http://127.0.0.1:3000",
        "https://example.com,",
        "https://me@example.com",
        "android:apk-key-hash:short",
        "ios:bundle-id:com.example",
    ],
)
def test_no_origin(origin):
    assert fault_of(given(origins=origin)).startswith("FLASK_PASSKEY_ORIGINS must be origins separated by commas")


@pytest.mark.parametrize(
    ("rp_id", "origin"),
    [
        ("example.com", "https://example.org"),
        ("example.com", "https://notexample.com"),
        ("app.example.com", "https://example.com"),
        ("com", "https://example.com"),
        ("example.com", "http://localhost:3000"),
    ],
)
def test_an_origin_elsewhere(rp_id, origin):
    fault = fault_of(given(rp_id, origin))
    assert fault == (
        f"FLASK_PASSKEY_ORIGINS must be at {rp_id} or beneath it, as FLASK_PASSKEY_RP_ID says, not {origin}"
    )


def test_both_or_neither():
    assert fault_of({"FLASK_PASSKEY_RP_ID": "example.com"}) == (
        "FLASK_PASSKEY_ORIGINS is required with FLASK_PASSKEY_RP_ID"
    )
    assert fault_of({"FLASK_PASSKEY_ORIGINS": "https://example.com"}) == (
        "FLASK_PASSKEY_RP_ID is required with FLASK_PASSKEY_ORIGINS"
    )


def test_with_a_database_of_yours_there_are_none_by_default():
    values = load(DATABASE)
    assert (values["PASSKEY_RP_ID"], values["PASSKEY_ORIGINS"]) == (None, None)


def test_with_the_embedded_database_they_are_for_localhost():
    assert load({})["PASSKEY_RP_ID"] == "localhost"
    assert load({})["PASSKEY_ORIGINS"] == (
        "http://localhost:3000",
        "http://localhost:8100",
        "http://localhost:4200",
        "http://localhost:5173",
    )
    assert load({"PORT": "8000"})["PASSKEY_ORIGINS"][0] == "http://localhost:8000"
    assert load({}, is_embedded=True)["PASSKEY_RP_ID"] is None
    assert load(given())["PASSKEY_RP_ID"] == "example.com"


def test_production_has_no_page_without_tls():
    assert load({**PRODUCTION, **given()})["PASSKEY_RP_ID"] == "example.com"
    fault = fault_of({**PRODUCTION, **given("localhost", "http://localhost:3000")})
    assert fault == (
        "FLASK_PASSKEY_ORIGINS must have no http://localhost:3000 with FLASK_ENV=production: it is for development"
    )
