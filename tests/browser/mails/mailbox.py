"""The mails of a development installation, as a developer reads them at /outbox."""

import re
import time
from typing import Any
from urllib.parse import urljoin

from tests.browser import needs

needs.packages()

from playwright.sync_api import Page, expect  # noqa: E402

DELIVERY_SECONDS = 30


def open_mail(page: Page, subject: str, to: str) -> Page:
    """The newest mail with that subject to that address, in a tab of its own."""
    tab = page.context.new_page()
    mail = tab.locator("li", has_text=f"to {to},").get_by_role("link", name=subject).first
    give_up = time.monotonic() + DELIVERY_SECONDS
    while time.monotonic() < give_up:
        tab.goto(urljoin(page.url, "/outbox"))
        if mail.count():
            mail.click()
            expect(tab.get_by_role("heading", name=subject)).to_be_visible()
            return tab
        time.sleep(0.2)
    raise AssertionError(f"no mail {subject!r} to {to}: {tab.locator('main').inner_text()}")


def follow_link(mail: Page) -> Page:
    """The page that the link in the text opens. By then its address has no token."""
    mail.locator("pre").get_by_role("link").first.click()
    expect(mail.get_by_role("heading", name="authservice")).to_be_visible()
    expect(mail).to_have_url(urljoin(mail.url, "/app/"))
    return mail


def code_in(mail: Page) -> str:
    found: Any = re.search(r"^ +([0-9]{4} [0-9]{4})$", mail.locator("pre").inner_text(), re.MULTILINE)
    return str(found[1])
