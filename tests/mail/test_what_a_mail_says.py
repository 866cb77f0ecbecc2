"""Every mail in every language has its facts, as text and as HTML, and loads nothing."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.headerregistry import Address
from html.parser import HTMLParser

import pytest

from authservice.config import ConfigurationError
from authservice.mail import kinds
from authservice.mail.render import language_of, link_of, render, written_time
from authservice.mail.wording import PARTS
from tests.conftest import ALICE
from tests.service import ROOT

FACTS = {
    "link": "https://shop.example/?action=reset&token=t0ken",
    "code": "12345678",
    "time": "2026-11-28 11:03 UTC",
    "device": "Firefox on Linux",
    "factor": "passkey",
}
SHOP = {"MAIL_FROM": "Shop & <shop@shop.example>", "APP_URL": "https://shop.example/"}
TEMPLATES = ROOT / "authservice/mail/templates"


class Page(HTMLParser):
    """What a page says, and where it leads."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.attributes = "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words += data


@pytest.fixture
def shop(make_app):
    with make_app(**SHOP).app_context():
        yield


def parts_of(message):
    return message.get_body(("plain",)).get_content(), message.get_body(("html",)).get_content()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", kinds.BY_NAME.values(), ids=kinds.BY_NAME)
def test_every_kind_in_every_language(shop, kind, language):
    message = render(kind, language, FACTS, ALICE, "id")
    text, html = parts_of(message)
    page = Page(html)
    assert message.get_content_type() == "multipart/alternative"
    shown = {"code": "1234 5678"}
    for name in kind.facts:
        said = str.casefold if name == "factor" else str  # a passkey is a Passkey in German
        assert shown.get(name, FACTS[name]) in said(text)
        if name != "link":
            assert shown.get(name, FACTS[name]) in said(page.words)
    leads_to = {value for name, value in page.attributes if name == "href"}
    in_text = set(re.findall(r"https?://\S+", text))
    assert leads_to == in_text
    assert in_text <= {FACTS["link"], "https://shop.example/"}
    assert (FACTS["link"] in in_text) == ("link" in kind.facts)
    assert "Shop &" in message["Subject"]
    assert "Shop &" in text
    assert "Shop &" in page.words
    assert ("lang", language) in page.attributes
    if "code" in kind.facts:
        assert "30" in text
        assert "30" in page.words
    if kind is kinds.email_changed:
        assert "7" in text
        assert "7" in page.words
    # nothing is fetched when the mail is opened, and nothing runs
    assert set(page.tags) <= {"html", "head", "meta", "title", "body", "div", "p", "a"}
    assert {name for name, _ in page.attributes} <= {"lang", "charset", "name", "content", "style", "href"}
    assert "url(" not in html
    assert not re.search(r"[{}]{2}|\bNone\b", text + html)


def test_the_languages_have_the_same_templates_and_not_the_same_words():
    names = {path.name for path in (TEMPLATES / "en").iterdir()}
    assert names == {path.name for path in (TEMPLATES / "de").iterdir()}
    assert names == {f"{kind}.{part}" for kind in kinds.BY_NAME for part in PARTS}
    same = [name for name in names if (TEMPLATES / "en" / name).read_text() == (TEMPLATES / "de" / name).read_text()]
    assert same == []


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", kinds.BY_NAME.values(), ids=kinds.BY_NAME)
def test_text_and_html_say_the_same(shop, kind, language):
    text, html = parts_of(render(kind, language, FACTS, ALICE, "id"))
    page = " ".join(Page(html).words.split())
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    assert [paragraph for paragraph in paragraphs if "https://" not in paragraph and paragraph not in page] == []


def test_headers(shop):
    before = datetime.now(UTC).replace(microsecond=0)
    message = render(kinds.reset, "en", FACTS, ALICE, "the id")
    assert message["From"] == "Shop & <shop@shop.example>"
    assert message["To"] == ALICE
    assert message["Auto-Submitted"] == "auto-generated"
    assert before <= message["Date"].datetime <= datetime.now(UTC)
    assert message["Subject"] == "Choose a new password for Shop &"


@pytest.mark.parametrize(
    "name", ["Shop, Inc.", "Müller, Söhne und Partner, Abteilung für die Kundinnen, Wien", 'Sh"op <x@y.example>']
)
def test_any_name_of_the_sender_is_read_as_it_was_meant(make_app, name):
    with make_app(MAIL_FROM=str(Address(name, addr_spec="no-reply@a-long-name-of-a-shop.example"))).app_context():
        sent = render(kinds.reset, "de", FACTS, ALICE, "id").as_bytes()
    read = message_from_bytes(sent, policy=policy.default)
    (address,) = read["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "no-reply@a-long-name-of-a-shop.example")
    assert read["Subject"] == f"Neues Passwort für {name}"


def test_a_mail_keeps_its_message_id_however_often_it_is_made(shop):
    first = render(kinds.reset, "en", FACTS, ALICE, "the id")["Message-ID"]
    assert re.fullmatch(r"<[0-9a-f]{32}@shop\.example>", first)
    assert render(kinds.reset, "de", FACTS, ALICE, "the id")["Message-ID"] == first
    assert render(kinds.reset, "en", FACTS, ALICE, "another id")["Message-ID"] != first
    assert "the id" not in first


def test_lines_survive_every_server(shop):
    content = render(kinds.email_changed, "de", {**FACTS, "link": FACTS["link"] + "x" * 2_000}, ALICE, "id").as_bytes()
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 78
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_the_html_is_escaped_and_the_text_is_not(make_app):
    hostile = "<img src=//evil.example>\"&'"
    with make_app(**SHOP).app_context():
        for kind in kinds.BY_NAME.values():
            facts = {**FACTS, "link": hostile, "time": hostile, "code": hostile}
            text, html = parts_of(render(kind, "en", facts, ALICE, "id"))
            assert "img" not in Page(html).tags
            assert "Shop &amp;" in html
            assert "Shop &" in text
            assert "Shop &amp;" not in text
            if set(kind.facts) & {"link", "time", "code"}:
                assert hostile in text
                assert "&lt;img" in html


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("kind", "factors"), [(kinds.factor_added, ("totp", "passkey")), (kinds.factor_removed, ("totp", "passkey", "all"))]
)
def test_a_notice_says_which_factor(shop, kind, factors, language):
    said = {parts_of(render(kind, language, {**FACTS, "factor": factor}, ALICE, "id")) for factor in factors}
    assert len(said) == len(factors)
    for text, html in said:
        assert " ".join(text.split("\n\n")[0].split()) in Page(html).words


def test_a_notice_without_a_device_names_none(shop):
    for kind in (kinds.new_device, kinds.password_changed, kinds.password_reset_done, kinds.factor_added):
        for language, with_a in (("en", " with "), ("de", " mit ")):
            facts = {name: FACTS[name] for name in ("time", "factor")}
            text, _ = parts_of(render(kind, language, facts, ALICE, "id"))
            (line,) = [line for line in text.splitlines() if FACTS["time"] in line]
            assert line.endswith("UTC.")
            assert with_a not in line


def test_a_fact_that_is_missing_is_an_error_and_no_gap(shop):
    with pytest.raises(KeyError, match="link"):
        render(kinds.reset, "en", {"code": "12345678"}, ALICE, "id")


def test_the_link_leads_to_the_app_and_nowhere_else(make_app):
    app = make_app(**SHOP)
    with app.test_request_context(headers={"Host": "evil.example"}):
        assert link_of(kinds.reset, "an-id.t0ken") == "https://shop.example/?action=reset&token=an-id.t0ken"


def test_without_a_name_of_the_sender_the_app_is_called_by_its_host(make_app):
    with make_app(MAIL_FROM="shop@shop.example", APP_URL="https://app.shop.example:8443/x").app_context():
        assert render(kinds.test, "en", {}, ALICE, "id")["Subject"] == "Test mail of app.shop.example"


def test_times_are_told_in_utc():
    in_tokyo = datetime(2026, 11, 28, 20, 3, 59, tzinfo=timezone(timedelta(hours=9)))
    assert written_time(in_tokyo) == "2026-11-28 11:03 UTC"


@pytest.mark.parametrize(
    ("header", "stored", "language"),
    [
        (None, None, "en"),
        ("", None, "en"),
        ("de", None, "de"),
        ("de-AT,de;q=0.9,en;q=0.8", None, "de"),
        ("fr-FR,fr;q=0.9,de;q=0.2,en;q=0.1", None, "de"),
        ("en;q=0.1,de;q=0.2", None, "de"),
        ("de;q=0,en", None, "en"),
        ("fr", None, "en"),
        ("*", None, "en"),
        ("pt", None, "pt-BR"),
        ("pt-BR", None, "pt-BR"),
        ("DE", None, "de"),
        ("en", "de", "de"),
        (None, "pt-BR", "pt-BR"),
        ("de", "fr", "de"),  # a language that is no longer offered
        ("de", "", "de"),
        ("en" * 100_000, None, "en"),
        (";q=x,,=;de;q=nan", None, "en"),
        ("\xff\r\n\0", "\xff\r\n\0", "en"),
        ("../../etc", "../../etc", "en"),
    ],
)
def test_the_language_is_the_users_own_or_what_the_browser_asks_for(make_app, tmp_path, header, stored, language):
    brazilian = tmp_path / "pt-BR"
    brazilian.mkdir()
    for path in (TEMPLATES / "en").iterdir():
        (brazilian / path.name).write_text(path.read_text())
    with make_app(MAIL_LANGUAGES="en,de,pt-BR", MAIL_TEMPLATES=str(tmp_path)).app_context():
        assert language_of(header, stored) == language


def test_the_first_language_is_for_all_who_ask_for_none_of_them(make_app):
    with make_app(MAIL_LANGUAGES="de").app_context():
        assert language_of("fr", None) == "de"
        assert "Passwort" in render(kinds.reset, "en", FACTS, ALICE, "id")["Subject"]  # asked for before the change


def written(folder, **templates):
    for name, text in templates.items():
        language, kind, part = name.split("__")
        (folder / language).mkdir(exist_ok=True)
        (folder / language / f"{kind}.{part.replace('_', '.')}").write_text(text)
    return str(folder)


def test_a_folder_replaces_templates_of_the_service(make_app, tmp_path):
    folder = written(tmp_path, en__reset__txt="Hello from {{ app_name }}: {{ link }} {{ code }}\n")
    with make_app(**SHOP, MAIL_TEMPLATES=folder).app_context():
        message = render(kinds.reset, "en", FACTS, ALICE, "id")
        (tmp_path / "en/reset.txt").write_text("{{ changed }}")  # it is untested
        again = render(kinds.reset, "en", FACTS, ALICE, "id")
    assert parts_of(message)[0] == f"Hello from Shop &: {FACTS['link']} 1234 5678\n"
    assert parts_of(message)[0] == parts_of(again)[0]
    assert message["Subject"] == "Choose a new password for Shop &"


def test_a_language_that_has_not_every_template_stops_the_start_and_each_is_named(make_app, tmp_path):
    folder = written(
        tmp_path, **{f"fr__{kind}__{part}": "Bonjour" for kind in kinds.BY_NAME for part in ("txt", "html")}
    )
    with pytest.raises(ConfigurationError) as raised:
        make_app(MAIL_LANGUAGES="en,fr", MAIL_TEMPLATES=folder)
    assert raised.value.faults == [
        f"the template fr/{kind}.subject.txt cannot be read: there is no fr/{kind}.subject.txt"
        for kind in kinds.BY_NAME
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ token }}", "cannot be filled in: 'token' is undefined"),
        ("{{ device }}", "cannot be filled in: 'device' is undefined"),  # no fact of a reset
        ("one\n{% if %}", "cannot be read: Expected an expression, got 'end of statement block', in line 2"),
        ("{% include 'none.txt' %}", "cannot be read: there is no none.txt"),
        ("{{ 1 / 0 }}", "cannot be filled in: division by zero"),
    ],
)
@pytest.mark.parametrize("name", ["de/reset.txt", "de/reset.html"])
def test_a_broken_template_stops_the_start_and_is_named(make_app, tmp_path, name, text, reason):
    (tmp_path / "de").mkdir()
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        make_app(MAIL_TEMPLATES=str(tmp_path))
    assert raised.value.faults == [f"the template {name} {reason}"]


def test_a_template_that_is_no_text_and_a_folder_that_is_none(make_app, tmp_path):
    (tmp_path / "en").mkdir()
    (tmp_path / "en/reset.txt").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"the template en/reset\.txt cannot be filled in: 'utf-8' codec"):
        make_app(MAIL_TEMPLATES=str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"FLASK_MAIL_TEMPLATES must name a folder"):
        make_app(MAIL_TEMPLATES=str(tmp_path / "nowhere"))
