"""What a user of the client does with mails, and the mails that come of it."""

import re

from tests.browser.app import expect, expect_signed_out, expect_status, field
from tests.conftest import ALICE, PASSWORD

NEW_PASSWORD = "a different horse entirely"
NEW_EMAIL = "alice@elsewhere.example"
RESET = re.compile("Choose a new password for")
CHANGE = re.compile("Confirm your new address for")
CHANGED = re.compile("Your address at .* has changed")
VERIFY = re.compile("Confirm your address for")
NO_GOOD = "The link or code is not valid. It is wrong, expired or used, or was tried too often. Ask for a new mail."
UNVERIFIED = "The e-mail is not verified. Open the link in the mail that was sent to your address, then try again."
UNDONE = "Your old address is back, and every session is signed out. We have sent you a mail to choose a new password."


def ask_for_reset(page, email=ALICE):
    page.get_by_role("button", name="Forgot your password?").click()
    expect(page.get_by_role("heading", name="Forgot your password?")).to_be_focused()
    field(page, "Email").fill(email)
    page.get_by_role("button", name="Send the mail").click()
    expect(page.get_by_role("heading", name="Choose a new password")).to_be_focused()
    expect_status(page, f"If an account has the address {email}, a mail is on its way to it.")


def set_password(page, password=NEW_PASSWORD):
    field(page, "New password").fill(password)
    page.get_by_role("button", name="Set the new password").click()


def log_out(page):
    page.get_by_role("button", name="Log out").click()
    expect_signed_out(page)


def open_change(page, new_email=NEW_EMAIL):
    page.locator("summary", has_text="Change e-mail address").click()
    field(page, "New email").fill(new_email)
    field(page, "Current password").fill(PASSWORD)
    page.get_by_role("button", name="Send a mail to the new address").click()
    expect(page.get_by_role("heading", name="Confirm the new address")).to_be_focused()
