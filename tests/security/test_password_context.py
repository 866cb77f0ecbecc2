"""A password that is only a word which belongs to the account or the service is refused, and no other word is."""

import pytest
from flask import Flask

from authservice import AuthService, ConfigurationError
from authservice.config import load
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import BOB, PASSWORD, SECRET, bearer, sign_in, state_of

NATALIE = "Natalie.Smith+news@mail.quillwort.example"
DETAIL = "Choose another password: this one is little more than your e-mail address or the name of this service."
AROUND = ["{}", "{}1990", "1990{}", "**{}!!", "2026-{}-2026"]
OF_NATALIE = ["natalie.smith", "Natalie.Smith+News", "natalie.smith+news@mail.quillwort.example", "quillwort"]
OF_NATALIE += ["mail.quillwort.example", "QUILLWORT"]
OF_THE_SERVICE = ["authservice", "AuthService"]
# More than the word, or another one.
OTHERS = [
    "natalie.smith.two",
    "my quillwort",
    "quillwortquillwort",
    "smithereens",
    "nataliesmith",
    "authservices",
    "exampl12",
]


def padded(text):
    """To the least length."""
    return text if len(text) >= 8 else text + "12345678"[: 8 - len(text)]


def sign_up(client, password, email=NATALIE):
    return client.post("/users", json={"email": email, "password": password})


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("word", [*OF_NATALIE, *OF_THE_SERVICE])
def test_sign_up_refuses_the_word_alone_and_with_digits_and_punctuation(client, database, word, around):
    answer = sign_up(client, padded(around.format(word)))
    problem = assert_problem(answer, 422, "validation_failed", ("/password", "password_context"))
    assert problem["errors"][0]["detail"] == DETAIL
    assert database.users.count_documents({}) == 0


@pytest.mark.parametrize("password", OTHERS)
def test_no_rule_looks_inside_a_password(client, password):
    assert_ok(sign_up(client, padded(password)), 201)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("49301234567@example.com", "49301234567"),  # a telephone number
        ("ren\u00e9e.m\u00fcller@example.com", "Rene\u0301e.Mu\u0308ller 1990"),
        ("anna@b\u00fccher.example", "B\u00dcCHER-2026"),
    ],
)
def test_words_without_letters_and_other_spellings(client, email, password):
    assert_problem(sign_up(client, password, email), 422, "validation_failed", ("/password", "password_context"))


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("a@example.com", "a7401 9356"),
        ("x99@example.com", "x7401 9356"),
        ("99-ab-99@example.com", "ab7401 9356"),
        ("natalie@x99.example", "7401 9356 x"),
        ("49301234567@example.com", "7401 9356 2287"),
    ],
)
def test_few_letters_and_other_digits_are_no_word(client, email, password):
    assert_ok(sign_up(client, password, email), 201)


@pytest.mark.parametrize(
    ("email", "password"), [("x4930123@example.com", "X4930123"), ("abc99@example.com", "ABC74019356")]
)
def test_few_letters_with_the_same_digits_are_the_word_and_three_letters_are_one(client, email, password):
    assert_problem(sign_up(client, password, email), 422, "validation_failed", ("/password", "password_context"))


def test_both_reasons_are_said(client):
    answer = sign_up(client, "michelle", "michelle@example.com")
    assert_problem(
        answer, 422, "validation_failed", ("/password", "password_common"), ("/password", "password_context")
    )


def test_a_change_refuses_it(client):
    assert_ok(sign_up(client, PASSWORD), 201)
    headers = bearer(sign_in(client, NATALIE)["token"])
    body = {"currentPassword": PASSWORD, "newPassword": "natalie.smith!"}
    answer = client.put("/users/me/password", json=body, headers=headers)
    assert_problem(answer, 422, "validation_failed", ("/newPassword", "password_context"))


def test_the_command_line_refuses_it(app, client):
    assert_ok(sign_up(client, PASSWORD), 201)
    for command in (["create", BOB], ["set-password", NATALIE]):
        done = app.test_cli_runner().invoke(args=["users", *command, "--password-stdin"], input="authservice1\n")
        assert (done.exit_code, done.output) == (2, f"Error: password: {DETAIL}\n")


@pytest.mark.parametrize("password", ["acme1234", "Acme Shop 2026", "rocketskates"])
def test_the_words_of_the_settings_count(make_app, password):
    client = make_app(PASSWORD_WORDS="Acme, acme shop,RocketSkates").test_client()
    assert_problem(sign_up(client, password), 422, "validation_failed", ("/password", "password_context"))
    assert_ok(sign_up(make_app().test_client(), password), 201)


@pytest.mark.parametrize("text", ["", " , ", "it,ac"])
def test_words_that_are_none_stop_the_start(text):
    with pytest.raises(ConfigurationError, match="FLASK_PASSWORD_WORDS must be words of 3 characters or more"):
        load({"FLASK_PASSWORD_WORDS": text})


def test_in_an_app_that_embeds_the_service_the_name_is_the_apps(mongo_uri):
    host = Flask("petshop.web")
    AuthService(host, MONGO_URI=mongo_uri, JWT_SECRET_KEY=SECRET, BCRYPT_LOG_ROUNDS=4, PASSWORD_WORDS="hamster")
    client = host.test_client()
    for password in ("petshop123", "Hamster!2026"):
        assert_problem(sign_up(client, password), 422, "validation_failed", ("/password", "password_context"))
    assert_ok(sign_up(client, "authservice1"), 201)
    state_of(host).client.close()
