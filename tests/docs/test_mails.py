"""The page about mails has every kind with its facts, and every action of a link."""

import re

from authservice.config import load
from authservice.mail.kinds import BY_NAME
from authservice.mail.wording import OF_EVERY_KIND
from tests.service import ROOT

PAGE = (ROOT / "docs/mails.md").read_text()
KINDS, ACTIONS = (re.findall(r"^\| `(.+?)` \|(.*)\|$", table, re.MULTILINE) for table in PAGE.split("A link is"))


def names_in(text):
    return re.findall(r"`([a-z_]+)`", text)


def test_every_kind_is_there_with_what_it_may_use():
    written = {kind: names_in(rest.rsplit("|", 1)[1]) for kind, rest in KINDS}
    assert written == {kind.name: list(kind.facts) for kind in BY_NAME.values()}


def test_every_action_of_a_link_is_there():
    assert {(action, names_in(rest)[0]) for action, rest in ACTIONS} == {
        (kind.action, kind.name) for kind in BY_NAME.values() if kind.action
    }


def test_what_every_template_may_use_is_there():
    (sentence,) = re.findall(r"All of them may use .*? can be undone\) and `language`", PAGE, re.DOTALL)
    assert {*names_in(sentence)} == {*OF_EVERY_KIND, "language"}


def test_the_settings_of_the_example_are_good():
    given = re.findall(r"^export (FLASK_\w+)='?([^'\n ]+(?: <[^>]+>)?)'?", PAGE, re.MULTILINE)
    (url,) = re.findall(r"# (smtps://\S+)", PAGE)
    assert len(given) == 3
    settings = {name: value for name, value in given if not name.endswith("_FILE")}
    assert load({**settings, "FLASK_SMTP_URL": url})["SMTP_URL"].user == "user"
