"""The client's page, in a user's words."""

import base64
import json
import time
from typing import Any
from urllib.parse import urljoin

import jwt

from tests.browser import needs
from tests.conftest import ALICE, PASSWORD, SECRET

needs.packages()

from playwright.sync_api import Locator, Page, Route, expect  # noqa: E402


def field(page: Page, label: str) -> Locator:
    """The one that is seen: every view of the page has its own."""
    return page.get_by_label(label, exact=True).filter(visible=True)


def create_account(page: Page, email: str = ALICE, password: str = PASSWORD) -> None:
    page.locator("ion-segment-button", has_text="Create account").click()
    field(page, "Email").fill(email)
    field(page, "Password").fill(password)
    page.get_by_role("button", name="Create account").click()


def sign_in(page: Page, email: str = ALICE, password: str = PASSWORD) -> None:
    field(page, "Email").fill(email)
    field(page, "Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def make_account(page: Page, email: str = ALICE) -> None:
    made = page.request.post(urljoin(page.url, "/users"), data={"email": email, "password": PASSWORD})
    assert made.status == 201


def enter(page: Page, email: str = ALICE) -> None:
    """Sign in with a new account."""
    make_account(page, email)
    sign_in(page, email)
    expect_signed_in(page, email)


def expect_signed_in(page: Page, email: str = ALICE) -> None:
    expect(page.get_by_text(f"Signed in as {email}")).to_be_visible()
    expect(page.locator("#sessions li").first).to_be_visible()  # the list has loaded


def expect_signed_out(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_text("Signed in as")).to_be_hidden()


def expect_status(page: Page, text: str) -> None:
    expect(page.get_by_role("status")).to_have_text(text)


def expect_problem(page: Page, text: str) -> None:
    expect(page.locator("#problem")).to_have_text(text)


def expect_fault(page: Page, label: str, text: str) -> None:
    """The sentence is next to its field, and a screen reader reads it with the field."""
    found = field(page, label)
    expect(found).to_have_attribute("aria-invalid", "true")
    expect(found).to_have_accessible_description(text)
    expect(found).to_be_focused()
    expect(page.locator("ion-input .error-text", has_text=text).filter(visible=True).first).to_be_visible()


def try_route(page: Page) -> None:
    page.get_by_role("button", name="Test protected route").click()


def let_access_token_expire(page: Page) -> None:
    """The next guarded request of this page sends an expired access token, as after an hour."""
    page.route("**/users/test", _send_expired, times=1)


def _send_expired(route: Route) -> None:
    token = route.request.headers["authorization"].removeprefix("Bearer ")
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    now = int(time.time())
    expired = jwt.encode({**claims, "iat": now - 3700, "exp": now - 100}, SECRET, "HS256")
    route.continue_(headers={**route.request.headers, "authorization": f"Bearer {expired}"})
