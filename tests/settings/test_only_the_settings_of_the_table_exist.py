"""An unknown FLASK_* variable stops the start: it would be ignored, or reach an extension unchecked."""

import pytest

from authservice.config import SETTINGS, ConfigurationError, load
from tests.conftest import SECRET
from tests.server.processes import run

GOOD = {"FLASK_MONGO_URI": "mongodb://127.0.0.1:27017/authexample", "FLASK_JWT_SECRET_KEY": SECRET}


def faults_of(environ, overrides=None):
    with pytest.raises(ConfigurationError) as raised:
        load(environ, overrides)
    return raised.value.faults


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("FLASK_CORS_RESOURCES", ""),  # flask-cors read it, past the check of FLASK_CORS_ORIGINS
        ("FLASK_JWT_ALGORITHM", ""),
        ("FLASK_SESSION_COOKIE_SECURE", ""),
        ("FLASK_TESTING", ""),
        ("FLASK_X__Y", ""),
        ("FLASK_MONGO_URL", "; did you mean FLASK_MONGO_URI?"),
        ("FLASK_mongo_uri", "; did you mean FLASK_MONGO_URI?"),
        ("FLASK_CORS_ORIGIN", "; did you mean FLASK_CORS_ORIGINS?"),
        ("FLASK_TRUSTED_PROXY", "; did you mean FLASK_TRUSTED_PROXIES?"),
        ("FLASK_BCRYPT_ROUNDS", "; did you mean FLASK_BCRYPT_LOG_ROUNDS?"),
        ("FLASK_JWT_SECRET_KEYS", "; did you mean FLASK_JWT_SECRET_KEY?"),
        ("FLASK_JWT_SECRET", "; did you mean FLASK_JWT_SECRET_KEY?"),
        ("FLASK_JWT_SECRET_FILE", "; did you mean FLASK_JWT_SECRET_KEY_FILE?"),
        ("FLASK_DEBUGGER", "; did you mean FLASK_DEBUG?"),
        ("FLASK_PORT", "; gunicorn reads PORT, without FLASK_"),
        ("FLASK_HOST", "; gunicorn reads HOST, without FLASK_"),
        ("FLASK_WEB_CONCURRENCY", "; gunicorn reads WEB_CONCURRENCY, without FLASK_"),
    ],
)
def test_any_other_name_is_refused_with_a_hint_where_there_is_one(written, hint):
    assert faults_of({**GOOD, written: "1"}) == [f"{written} is not a setting{hint}"]


def test_several_are_named_at_once():
    faults = faults_of({**GOOD, "FLASK_ONE_THING": "1", "FLASK_CORS_ORIGINS": "*", "FLASK_QUITE_ANOTHER": "2"})
    assert [fault.split()[0] for fault in faults] == ["FLASK_CORS_ORIGINS", "FLASK_ONE_THING", "FLASK_QUITE_ANOTHER"]


@pytest.mark.parametrize("name", ["FLASK_APP", "FLASK_DEBUG", "FLASK_RUN_PORT", "FLASK_RUN_HOST", "FLASK_SKIP_DOTENV"])
def test_what_flask_itself_reads_is_let_through(name):
    assert load({**GOOD, name: "1"})["JWT_SECRET_KEY"] == SECRET


def test_every_setting_may_be_given_and_may_come_from_a_file(tmp_path):
    defaults = {setting.name: setting.default for setting in SETTINGS if setting.default is not None}
    assert load({**GOOD, **{f"FLASK_{name}": text for name, text in defaults.items()}}) == load(GOOD)
    for name, text in defaults.items():
        (tmp_path / name).write_text(text)
    assert load({**GOOD, **{f"FLASK_{name}_FILE": str(tmp_path / name) for name in defaults}}) == load(GOOD)


@pytest.mark.parametrize("name", ["MONGO_URI", "JWT_SECRET_KEY"])
def test_the_database_and_the_secret_without_the_prefix_get_a_hint(name):
    assert faults_of({name: "x"}) == [f"{name} is not read; did you mean FLASK_{name}?"]
    assert load({**GOOD, name: "of another program"}) == load(GOOD)


def test_create_app_takes_settings_and_nothing_else():
    assert faults_of(GOOD, {"CORS_RESOURCES": {}, "MAX_SESSION": 3, "PORT": 1}) == [
        "CORS_RESOURCES, given to create_app, is not a setting",
        "MAX_SESSION, given to create_app, is not a setting; did you mean MAX_SESSIONS?",
        "PORT, given to create_app, is not a setting; gunicorn reads PORT, without FLASK_",
    ]


@pytest.mark.parametrize("key", ["1234567890", "true", "null", '{"a": 1}'])
def test_flasks_own_secret_key_reaches_the_app_as_it_was_written(make_app, monkeypatch, key):
    monkeypatch.setenv("FLASK_SECRET_KEY", key)
    app = make_app()
    assert app.secret_key == key
    assert app.config["JWT_SECRET_KEY"] == SECRET


def test_flasks_own_secret_key_is_not_empty_and_may_be_left_out(make_app):
    assert faults_of({**GOOD, "FLASK_SECRET_KEY": ""}) == ["FLASK_SECRET_KEY must not be empty"]
    assert make_app().secret_key is None


@pytest.mark.parametrize("command", [("gunicorn", "wsgi:app"), ("flask", "--app", "wsgi", "users", "list")])
def test_a_real_start_is_refused_too(command):
    ended = run(*command, PORT="0", **GOOD, FLASK_CORS_RESOURCES='{"/*": {"origins": "https://evil.example"}}')
    assert ended.returncode != 0
    assert ended.stderr.endswith("the service cannot start:\n  - FLASK_CORS_RESOURCES is not a setting\n")
