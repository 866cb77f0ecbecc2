"""A forgotten password, from /outbox to the client."""

from tests.browser.app import (
    expect,
    expect_fault,
    expect_problem,
    expect_signed_in,
    expect_status,
    field,
    make_account,
    sign_in,
)
from tests.browser.conftest import refused
from tests.browser.mails.acts import (
    NEW_PASSWORD,
    NO_GOOD,
    RESET,
    ask_for_reset,
    log_out,
    set_password,
)
from tests.browser.mails.mailbox import code_in, follow_link, open_mail
from tests.conftest import ALICE
from tests.database import needs_embedded

pytestmark = needs_embedded


def test_a_forgotten_password_is_replaced_by_the_link(open_page, check, scheme, watch):
    watch.expect(refused(401), refused(422))
    page = open_page("/app/", color_scheme=scheme)
    make_account(page)
    ask_for_reset(page)
    mail = open_mail(page, RESET, ALICE)
    check(mail, "a mail in the outbox")
    linked = follow_link(mail)
    expect(linked.get_by_role("heading", name="Choose a new password")).to_be_focused()
    expect(field(linked, "Code from the mail")).to_have_count(0)
    check(linked, "the link of a reset")
    set_password(linked, "short")
    expect_fault(linked, "New password", "Use at least 8 characters.")
    set_password(linked)
    expect_status(linked, "Your new password is set. Sign in with it.")
    sign_in(linked)
    expect_problem(linked, "No enabled account has this e-mail and password.")
    sign_in(linked, ALICE, NEW_PASSWORD)
    expect_signed_in(linked)
    log_out(linked)


def test_a_forgotten_password_is_replaced_by_the_code(open_page, check, scheme, watch):
    watch.expect(refused(403))
    page = open_page("/app/", color_scheme=scheme)
    make_account(page)
    ask_for_reset(page)
    check(page, "the code of a reset")
    field(page, "Code from the mail").fill("0000 0000")
    set_password(page)
    expect_fault(page, "Code from the mail", NO_GOOD)
    mails = page.context.new_page()
    mails.goto(page.url.replace("/app/", "/outbox"))
    check(mails, "the outbox")
    field(page, "Code from the mail").fill(code_in(open_mail(page, RESET, ALICE)))
    set_password(page)
    expect_status(page, "Your new password is set. Sign in with it.")
    sign_in(page, ALICE, NEW_PASSWORD)
    expect_signed_in(page)


def test_a_link_works_from_the_html_too_and_only_once(open_page, watch):
    watch.expect(refused(403))
    page = open_page("/app/")
    make_account(page)
    ask_for_reset(page)
    mail = open_mail(page, RESET, ALICE)
    address = mail.url
    mail.frame_locator("iframe").get_by_role("link").first.click()
    expect(mail.get_by_role("heading", name="Choose a new password")).to_be_focused()
    assert mail.url.endswith("/app/")
    set_password(mail)
    expect_status(mail, "Your new password is set. Sign in with it.")
    mail.goto(address)
    used = follow_link(mail)
    set_password(used)
    expect_problem(used, NO_GOOD)


def test_an_unknown_address_is_told_the_same(open_page):
    page = open_page("/app/")
    ask_for_reset(page, "nobody@example.com")
