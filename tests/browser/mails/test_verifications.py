"""The proof of an address, and a private sign-up, from /outbox to the client."""

import re

import pytest

from tests.browser.app import (
    create_account,
    expect,
    expect_fault,
    expect_problem,
    expect_signed_in,
    expect_status,
    field,
    sign_in,
)
from tests.browser.conftest import refused
from tests.browser.mails.acts import (
    NO_GOOD,
    UNVERIFIED,
    VERIFY,
)
from tests.browser.mails.mailbox import code_in, follow_link, open_mail
from tests.conftest import ALICE, PASSWORD
from tests.database import needs_embedded

pytestmark = needs_embedded


def test_a_new_user_confirms_the_address_by_the_link(open_page, check, scheme):
    page = open_page("/app/", color_scheme=scheme)
    create_account(page)
    expect_signed_in(page)
    expect(page.get_by_text("It is not confirmed yet.")).to_be_visible()
    check(page, "an address that is not confirmed")
    linked = follow_link(open_mail(page, VERIFY, ALICE))
    expect(linked.get_by_role("heading", name="Confirm your e-mail address")).to_be_focused()
    check(linked, "the link of a verification, signed in")
    linked.get_by_role("button", name="Confirm").click()
    expect_status(linked, "Your e-mail address is confirmed.")
    expect(linked.get_by_text(f"{ALICE}, confirmed")).to_be_visible()
    page.reload()
    expect(page.get_by_text(f"{ALICE}, confirmed")).to_be_visible()


def test_a_new_user_confirms_the_address_by_the_code(open_page, watch):
    watch.expect(refused(403))
    page = open_page("/app/")
    create_account(page)
    expect_signed_in(page)
    page.get_by_role("button", name="Send the mail again").click()
    expect_status(page, "A mail is on its way.")
    field(page, "Code from the mail").fill("0000 0000")
    page.get_by_role("button", name="Confirm the address").click()
    expect_fault(page, "Code from the mail", NO_GOOD)
    field(page, "Code from the mail").fill(code_in(open_mail(page, VERIFY, ALICE)))
    page.get_by_role("button", name="Confirm the address").click()
    expect_status(page, "Your e-mail address is confirmed.")
    expect(page.get_by_role("heading", name="My e-mail address")).to_be_focused()


@pytest.mark.parametrize("settings", [{"FLASK_REQUIRE_VERIFIED_EMAIL": "on"}], ids=["required"])
def test_who_must_confirm_first_does_so_by_link_and_password(open_page, check, scheme, watch):
    watch.expect(refused(403))
    page = open_page("/app/", color_scheme=scheme)
    create_account(page)
    expect_status(page, "Your account is created. Open the link in the mail that we have sent you, then sign in.")
    sign_in(page)
    expect_problem(page, UNVERIFIED)
    linked = follow_link(open_mail(page, VERIFY, ALICE))
    check(linked, "the link of a verification, signed out")
    confirm = linked.get_by_role("button", name="Confirm")
    field(linked, "Password").fill("not the password")
    confirm.click()
    expect_problem(linked, NO_GOOD)
    field(linked, "Password").fill(PASSWORD)
    confirm.click()
    expect_status(linked, "Your e-mail address is confirmed. Sign in to go on.")
    sign_in(linked)
    expect_signed_in(linked)


@pytest.mark.parametrize("settings", [{"FLASK_SIGN_UP": "private"}], ids=["private"])
@pytest.mark.parametrize("by", ["link", "code"])
def test_a_private_sign_up_is_finished_by_the_mail(open_page, check, watch, by):
    watch.expect(refused(403))
    page = open_page("/app/")
    create_account(page)
    expect(page.get_by_role("heading", name="Finish your sign-up")).to_be_focused()
    expect_status(page, f"A mail is on its way to {ALICE}.")
    check(page, "the code of a sign-up")
    mail = open_mail(page, re.compile("Finish your sign-up at"), ALICE)
    if by == "link":
        page = follow_link(mail)
        check(page, "the link of a sign-up")
        field(page, "Password").fill(PASSWORD)
    else:
        field(page, "Code from the mail").fill("0000 0000")
        page.get_by_role("button", name="Create my account").click()
        expect_fault(page, "Code from the mail", NO_GOOD)
        field(page, "Code from the mail").fill(code_in(mail))
    page.get_by_role("button", name="Create my account").click()
    expect_signed_in(page)
    expect_status(page, "Your account is created.")
    expect(page.get_by_text(f"{ALICE}, confirmed")).to_be_visible()
