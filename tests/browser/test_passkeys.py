"""Passkeys in the client, with the virtual authenticator of Chromium."""

import copy

import pytest

from tests.browser.app import enter, expect, expect_signed_in, expect_signed_out, expect_status, field, sign_in
from tests.browser.conftest import AUTHENTICATOR, refused
from tests.browser.test_two_steps import press, turn_on

# what browsers before 2025 lack
OLD_BROWSER = """
delete PublicKeyCredential.isConditionalMediationAvailable;
delete PublicKeyCredential.parseCreationOptionsFromJSON;
delete PublicKeyCredential.parseRequestOptionsFromJSON;
delete PublicKeyCredential.prototype.toJSON;
"""


@pytest.fixture
def service(service):
    """By a name, because an address has no passkeys."""
    named = copy.copy(service)
    named.url = f"http://localhost:{service.port}"
    return named


class Authenticator:
    """What holds the passkeys of one page. Its user touches it at once, unless ``touch(False)``."""

    def __init__(self, page):
        self.cdp = page.context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable", {"enableUI": False})
        self.id = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]

    def touch(self, is_touched):
        self.cdp.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self.id, "enabled": is_touched})

    def count(self):
        return len(self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"])


def add_passkey(page):
    authenticator = Authenticator(page)
    press(page, "Add a passkey")
    expect_status(page, "Your passkey is ready. You can sign in with it.")
    authenticator.touch(False)  # so that the form to sign in does not sign in at once
    return authenticator


def log_out(page):
    press(page, "Log out")
    expect_signed_out(page)


def test_somebody_signs_in_by_a_passkey_from_the_button_and_from_the_suggestions(open_page, check, scheme):
    page = open_page("/app/", color_scheme=scheme)
    enter(page)
    authenticator = add_passkey(page)
    log_out(page)
    check(page, "sign in with a passkey")
    authenticator.touch(True)
    press(page, "Sign in with a passkey")  # ends the request that waits behind the suggestions
    expect_signed_in(page)
    authenticator.touch(False)
    log_out(page)
    assert field(page, "Email").get_attribute("autocomplete") == "username webauthn"
    authenticator.touch(True)
    page.reload()
    expect_signed_in(page)


def test_somebody_names_and_deletes_a_passkey_after_a_proof_by_it(open_page, check, scheme, watch, age_sessions):
    watch.expect(refused(403))
    page = open_page("/app/", color_scheme=scheme)
    enter(page)
    authenticator = add_passkey(page)
    page.locator("#passkeys summary").click()
    check(page, "a passkey")
    field(page, "Name").fill("My telephone")
    press(page, "Save the name")
    expect(page.locator("#passkeys strong")).to_have_text("My telephone")

    age_sessions()
    page.reload()
    page.locator("#passkeys summary").click()
    press(page, "Delete this passkey")
    expect(field(page, "Password")).to_be_focused()
    press(page, "Use a passkey")
    authenticator.touch(True)
    press(page, "Use a passkey")
    expect_status(page, "The passkey is deleted.")
    expect(page.get_by_role("heading", name="My passkeys")).to_be_focused()
    expect(page.locator("#passkeys li")).to_have_count(0)
    while authenticator.count():  # the browser tells it in its own time
        page.wait_for_timeout(50)


def test_a_passkey_is_the_second_step(open_page, watch):
    watch.expect(refused(401))
    page = open_page("/app/")
    enter(page)
    authenticator = add_passkey(page)
    turn_on(page)
    log_out(page)
    sign_in(page)
    expect(field(page, "Code from your app")).to_be_focused()
    press(page, "Use a passkey")
    authenticator.touch(True)
    press(page, "Use a passkey")
    expect_signed_in(page)


def test_a_browser_without_the_conversions_signs_in_too(open_page):
    page = open_page("/app/")
    page.context.add_init_script(OLD_BROWSER)
    page.reload()
    enter(page)
    authenticator = add_passkey(page)
    log_out(page)
    authenticator.touch(True)
    press(page, "Sign in with a passkey")
    expect_signed_in(page)


def test_one_device_has_one_passkey_of_an_account(open_page):
    page = open_page("/app/")
    enter(page)
    authenticator = add_passkey(page)
    authenticator.touch(True)
    press(page, "Add a passkey")
    expect(page.locator("#problem")).to_have_text("This device has a passkey for your account already.")
