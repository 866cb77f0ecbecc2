"""The settings of mail: what is accepted, what a refusal says, and that no password is repeated."""

import pytest

from authservice.config import ConfigurationError, Relay, load
from tests.conftest import SECRET

NEEDED = {"FLASK_MAIL_FROM": "Shop <no-reply@shop.example>", "FLASK_APP_URL": "https://shop.example/"}
PRODUCTION = {
    "FLASK_ENV": "production",
    "FLASK_MONGO_URI": "mongodb://127.0.0.1:27017/authexample",
    "FLASK_JWT_SECRET_KEY": SECRET,
    "FLASK_CORS_ORIGINS": "https://app.example.com",
    "FLASK_METRICS": "off",
    "FLASK_TRUSTED_PROXIES": "1",
}


def faults_of(environ):
    with pytest.raises(ConfigurationError) as raised:
        load(environ)
    return raised.value.faults


def relay_of(url):
    return load({"FLASK_SMTP_URL": url, **NEEDED})["SMTP_URL"]


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtps://smtp.example.com", Relay("smtp.example.com", 465, is_tls=True)),
        ("smtp://smtp.example.com/", Relay("smtp.example.com", 587, is_tls=False)),
        ("SMTP://SMTP.Example.com:25", Relay("smtp.example.com", 25, is_tls=False)),
        ("smtp://[::1]:1025", Relay("::1", 1025, is_tls=False)),
        (
            "smtps://me%40a.example:p%2F%40%3A@h:4650",
            Relay("h", 4650, is_tls=True, user="me@a.example", password="p/@:"),
        ),
        ("smtps://me:p@ss@h", Relay("h", 465, is_tls=True, user="me", password="p@ss")),
    ],
)
def test_the_url_of_a_mail_server(url, relay):
    assert relay_of(url) == relay


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "must start with smtps:// or smtp://"),
        ("smtp.example.com:587", "must start with smtps:// or smtp://"),
        ("https://hunter2@smtp.example.com", "must start with smtps:// or smtp://"),
        ("smtp://me:hunter2@", "must start with smtps:// or smtp://"),
        ("smtp://me:hunter2@exa mple", "must start with smtps:// or smtp://"),
        ("smtp://me:hunter2@h\n.example", "must start with smtps:// or smtp://"),
        ("smtp://me:hunter2@h:port", "is not a URL such as"),
        ("smtp://me:hunter2@h:65536", "is not a URL such as"),
        ("smtp://me:hunter2@h:0", "must end with the host"),
        ("smtp://me:hunter2@[::1", "is not a URL such as"),
        ("smtp://me:hunter2/3@h", "write / ? # @ : as %2F %3F %23 %40 %3A"),
        ("smtp://me:hunter2@h/path", "must end with the host"),
        ("smtp://me:hunter2@h?tls=off", "must end with the host"),
        ("smtp://hunter2@h", "must have both"),
        ("smtp://:hunter2@h", "must have both"),
        ("smtp://me:hunter2ü@h", "printable ASCII"),
        ("smtp://me:hunter2%0D%0Ax@h", "printable ASCII"),
    ],
)
def test_another_url_is_refused_and_its_password_not_repeated(url, says):
    (fault,) = faults_of({"FLASK_SMTP_URL": url, **NEEDED})
    assert fault.startswith("FLASK_SMTP_URL ")
    assert says in fault
    assert "hunter2" not in fault


def test_the_password_may_be_in_a_file_and_is_in_no_repr(tmp_path):
    (tmp_path / "smtp").write_text("smtps://me:hunter2@smtp.example.com\n")
    relay = load({"FLASK_SMTP_URL_FILE": str(tmp_path / "smtp"), **NEEDED})["SMTP_URL"]
    assert relay.password == "hunter2"
    assert "hunter2" not in repr(relay)


def test_a_mail_server_needs_a_sender_and_the_page_of_the_links():
    assert faults_of({"FLASK_SMTP_URL": "smtp://127.0.0.1:1025"}) == [
        "FLASK_MAIL_FROM is required with FLASK_SMTP_URL",
        "FLASK_APP_URL is required with FLASK_SMTP_URL",
    ]


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("no-reply@shop.example", "", "no-reply@shop.example"),
        ("Shop <no-reply@shop.example>", "Shop", "no-reply@shop.example"),
        ('"Müller, Söhne" <no-reply@müller.example>', "Müller, Söhne", "no-reply@xn--mller-kva.example"),
        ("auth@intranet", "", "auth@intranet"),
    ],
)
def test_the_sender(text, name, address):
    sender = load({"FLASK_MAIL_FROM": text})["MAIL_FROM"]
    assert (sender.display_name, sender.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Shop",
        "Shop <>",
        "a@b@c.example",
        "jürgen@shop.example",
        "a@shop.example\nBcc: b@shop.example",
        "a@shop.example, b@shop.example",
        "=?utf-8?q?x=0ABcc:_b=40c.example?= <a@shop.example>",
    ],
)
def test_another_sender_is_refused(text):
    (fault,) = faults_of({"FLASK_MAIL_FROM": text})
    assert fault == f"FLASK_MAIL_FROM must be an address such as Shop <no-reply@example.com>, not {text!r}"


def test_the_name_of_the_sender_is_short():
    name = "Müller, Söhne und Partner, Abteilung für die Kundinnen, Wien"
    assert len(name) == 60
    assert load({"FLASK_MAIL_FROM": f'"{name}" <a@shop.example>'})["MAIL_FROM"].display_name == name
    (fault,) = faults_of({"FLASK_MAIL_FROM": f'"{name}!" <a@shop.example>'})
    assert fault == "FLASK_MAIL_FROM must have a name of at most 60 characters, not 61"


@pytest.mark.parametrize(
    "text", ["https://shop.example", "http://127.0.0.1:8100/", "https://shop.example/app/index.html"]
)
def test_the_page_of_the_links(text):
    assert load({"FLASK_APP_URL": text})["APP_URL"] == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.example",
        "//shop.example/",
        "javascript:alert(1)",
        "ftp://shop.example/",
        "https:///app",
        "https://shop.example/?a=b",
        "https://shop.example/#/reset",
        "https://me:pw@shop.example/",
        "https://shop.example:0/",
        "https://shop.example:x/",
        "https://shop.example/a b",
        'https://shop.example/"><b>',
        "https://müller.example/",
        "https://[::1/",
    ],
)
def test_another_page_is_refused(text):
    (fault,) = faults_of({"FLASK_APP_URL": text})
    assert fault.startswith("FLASK_APP_URL must be a URL without a query, such as https://app.example.com/, not ")


def test_in_production_the_links_are_https():
    assert load({**PRODUCTION, "FLASK_APP_URL": "https://shop.example/"})
    assert faults_of({**PRODUCTION, "FLASK_APP_URL": "http://shop.example/"}) == [
        "FLASK_APP_URL must start with https:// with FLASK_ENV=production: its links let users in"
    ]


def test_private_sign_up_in_production_needs_a_mail_server():
    private = {**PRODUCTION, "FLASK_SIGN_UP": "private"}
    assert faults_of(private) == [
        "FLASK_SMTP_URL is required with FLASK_ENV=production and FLASK_SIGN_UP=private: "
        "without a mail nobody can finish a sign-up"
    ]
    mail = {"FLASK_SMTP_URL": "smtp://mail.example", "FLASK_MAIL_FROM": "a@shop.example"}
    assert load({**private, **mail, "FLASK_APP_URL": "https://shop.example/"})["SIGN_UP"] == "private"


@pytest.mark.parametrize(
    ("name", "good", "parsed"),
    [
        ("SIGN_UP", "private", "private"),
        ("MAIL_LANGUAGES", "de, en,de,pt-BR", ("de", "en", "pt-BR")),
        ("MAIL_LINK_MINUTES", "5", 5),
        ("MAIL_DELIVERY", "off", "off"),
        ("MAIL_TEMPLATES", "/srv/mails", "/srv/mails"),
        ("SMTP_CA_FILE", "/etc/ssl/ca.pem", "/etc/ssl/ca.pem"),
    ],
)
def test_the_others(name, good, parsed):
    assert load({f"FLASK_{name}": good})[name] == parsed


@pytest.mark.parametrize(
    ("name", "bad", "says"),
    [
        ("SIGN_UP", "Private", "must be open or private, not 'Private'"),
        ("MAIL_LANGUAGES", "", "must be language tags separated by commas, such as en,de, not ''"),
        ("MAIL_LANGUAGES", "en,../x", "must be language tags separated by commas, such as en,de, not 'en,../x'"),
        ("MAIL_LINK_MINUTES", "4", "must be a whole number from 5 to 1440, not '4'"),
        ("MAIL_DELIVERY", "on", "must be workers or off, not 'on'"),
        ("MAIL_TEMPLATES", "mails", "must be an absolute path, not 'mails'"),
        ("SMTP_CA_FILE", "ca.pem", "must be an absolute path, not 'ca.pem'"),
    ],
)
def test_what_the_others_refuse(name, bad, says):
    assert faults_of({f"FLASK_{name}": bad}) == [f"FLASK_{name} {says}"]


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:3000/app/"),
        ({"PORT": "8123"}, "http://127.0.0.1:8123/app/"),
        ({"PORT": "not a port"}, "http://127.0.0.1:3000/app/"),
        ({"PORT": "8123", "FLASK_APP_URL": "https://shop.example/"}, "https://shop.example/"),
    ],
    ids=str,
)
def test_links_lead_to_the_port_of_the_service(environ, url):
    assert load(environ)["APP_URL"] == url


def test_links_of_an_app_that_embeds_the_service_do_not_follow_its_port():
    assert load({"PORT": "8123"}, is_embedded=True)["APP_URL"] == "http://127.0.0.1:3000/app/"
