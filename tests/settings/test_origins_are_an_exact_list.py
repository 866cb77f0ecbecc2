"""FLASK_CORS_ORIGINS holds origins and nothing that could match more than it says."""

import pytest

from authservice.config import ConfigurationError, load


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "true",
        "1e3",
        "example.com",
        "https://*.example.com",
        "https://.*",
        r"https://.*\.example\.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com?x=1",
        "https://app.example.com#x",
        "https://user@app.example.com",
        "https://app.example.com:port",
        "https://[::1",
        "https://",
        "HTTPS://app.example.com",
        "https://app example.com",
        "https://app.example.com\nhttps://evil.example.com",
        "^https://app.example.com$",
    ],
)
def test_what_is_no_origin_is_refused_by_name(origin):
    with pytest.raises(ConfigurationError) as raised:
        load({"FLASK_CORS_ORIGINS": f"https://good.example.com,{origin}"})
    assert raised.value.faults == [
        f"FLASK_CORS_ORIGINS must be origins separated by commas, such as https://app.example.com, not {origin[:60]!r}"
    ]


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://app.example.com", ("https://app.example.com",)),
        (" https://a.example , capacitor://localhost,", ("https://a.example", "capacitor://localhost")),
        ("http://localhost:8100", ("http://localhost:8100",)),
        ("http://[::1]:8100", ("http://[::1]:8100",)),
        ("", ()),
    ],
)
def test_origins_are_read_from_a_list_with_commas(text, origins):
    assert load({"FLASK_CORS_ORIGINS": text})["CORS_ORIGINS"] == origins


def test_the_default_holds_what_ionic_and_capacitor_use_in_development():
    assert load({})["CORS_ORIGINS"] == (
        "http://localhost:8100",
        "http://localhost:4200",
        "http://localhost:5173",
        "http://localhost",
        "https://localhost",
        "capacitor://localhost",
        "ionic://localhost",
    )
