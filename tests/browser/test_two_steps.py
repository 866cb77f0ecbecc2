"""Two steps at sign-in in the client: an authenticator app, recovery codes, and the dialog that asks for a proof."""

import time
from pathlib import Path

import pyotp

from tests.browser.app import (
    enter,
    expect,
    expect_fault,
    expect_problem,
    expect_signed_in,
    expect_signed_out,
    expect_status,
    field,
    sign_in,
)
from tests.browser.conftest import refused
from tests.conftest import PASSWORD

WRONG = "000000"
SECOND_FACTOR_WRONG = (
    "It is wrong, expired or used, or the sign-in began too long ago. Try the next code, or begin again."
)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).filter(visible=True).click()


def open_details(page, summary):
    page.locator("summary", has_text=summary).click()


def turn_on(page):
    """Set up an app, and return what makes its codes, and the recovery codes."""
    press(page, "Set up an authenticator app")
    expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_focused()
    app = pyotp.TOTP(page.locator("#secret").inner_text().replace(" ", ""))
    field(page, "Code from the app").fill(app.now())
    press(page, "Turn on two steps")
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_focused()
    return app, page.locator("#recovery-codes li").all_inner_texts()


def next_code(app):
    """The one of the next step, which the service takes already: that of now is spent."""
    return app.at(int(time.time()) + app.interval)


def answer(page, label, value):
    field(page, label).fill(value)
    press(page, "Confirm")


def test_somebody_turns_two_steps_on_and_signs_in_by_code_and_by_recovery_code(open_page, check, scheme, watch):
    watch.expect(refused(401), refused(403))
    page = open_page("/app/", color_scheme=scheme)
    enter(page)
    press(page, "Set up an authenticator app")
    expect(page.get_by_role("img", name="The secret as a QR code")).to_be_visible()
    assert page.locator("#picture svg").bounding_box()["width"] > 200
    check(page, "an app that is being set up")
    answer_of_app = field(page, "Code from the app")
    answer_of_app.fill(WRONG)
    press(page, "Turn on two steps")
    expect(answer_of_app).to_have_attribute("aria-invalid", "true")
    press(page, "Cancel")
    expect(page.get_by_role("heading", name="Two steps at sign-in")).to_be_focused()

    app, codes = turn_on(page)
    assert len(codes) == 10
    check(page, "recovery codes")
    with page.expect_download() as download:
        press(page, "Download")
    assert Path(download.value.path()).read_text().split() == codes
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "Copy")
    expect_status(page, "The recovery codes are copied.")
    assert page.evaluate("navigator.clipboard.readText()").split() == codes
    press(page, "I have kept them")
    expect(page.get_by_text("10 recovery codes are left.")).to_be_visible()
    assert codes[0] not in page.content()

    press(page, "Log out")
    expect_signed_out(page)
    sign_in(page)
    expect(field(page, "Code from your app")).to_be_focused()
    check(page, "the second step")
    answer(page, "Code from your app", WRONG)
    expect_fault(page, "Code from your app", SECOND_FACTOR_WRONG)
    answer(page, "Code from your app", next_code(app))
    expect_signed_in(page)
    expect(page.locator("#who")).to_be_focused()

    press(page, "Log out")
    sign_in(page)
    press(page, "Use a recovery code")
    answer(page, "Recovery code", codes[0].upper().replace("-", " "))
    expect_signed_in(page)
    expect(page.get_by_text("9 recovery codes are left.")).to_be_visible()


def test_who_gives_up_the_second_step_is_not_signed_in(open_page, watch):
    watch.expect(refused(401))
    page = open_page("/app/")
    enter(page)
    turn_on(page)
    press(page, "Log out")
    sign_in(page)
    page.keyboard.press("Escape")
    expect_signed_out(page)
    expect_problem(page, "")
    page.reload()
    expect_signed_out(page)


def test_an_old_sign_in_is_proven_again_in_a_dialog(open_page, check, scheme, watch, age_sessions):
    watch.expect(refused(403))
    page = open_page("/app/", color_scheme=scheme)
    enter(page)
    age_sessions()
    page.reload()
    expect_signed_in(page)
    press(page, "Set up an authenticator app")
    expect(field(page, "Password")).to_be_focused()
    check(page, "a step-up by password")
    answer(page, "Password", "not the password")
    expect_fault(page, "Password", "The current password is wrong.")
    answer(page, "Password", PASSWORD)
    expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_focused()

    press(page, "Cancel")
    app, codes = turn_on(page)
    age_sessions()
    page.reload()
    expect_signed_in(page)
    open_details(page, "New recovery codes")
    press(page, "Make new recovery codes")
    expect(field(page, "Code from your app")).to_be_focused()
    page.keyboard.press("Escape")
    expect_problem(page, "A recent or stronger sign-in is required.")
    press(page, "Make new recovery codes")
    answer(page, "Code from your app", next_code(app))
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_focused()
    assert set(codes).isdisjoint(page.locator("#recovery-codes li").all_inner_texts())

    open_details(page, "Turn off two steps")
    press(page, "Turn off two steps")
    expect_status(page, "Two steps are off.")
    press(page, "Log out")
    sign_in(page)
    expect_signed_in(page)
