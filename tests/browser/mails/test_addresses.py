"""Another address, and back, from /outbox to the client."""

from tests.browser.app import (
    expect,
    expect_fault,
    expect_signed_in,
    expect_status,
    field,
    make_account,
    sign_in,
)
from tests.browser.conftest import refused
from tests.browser.mails.acts import (
    CHANGE,
    CHANGED,
    NEW_EMAIL,
    NEW_PASSWORD,
    RESET,
    UNDONE,
    log_out,
    open_change,
    set_password,
)
from tests.browser.mails.mailbox import code_in, follow_link, open_mail
from tests.conftest import ALICE, PASSWORD
from tests.database import needs_embedded

pytestmark = needs_embedded


def test_somebody_changes_the_address_by_the_code_or_keeps_it(open_page, watch):
    watch.expect(refused(403), refused(409))
    page = open_page("/app/")
    make_account(page)
    make_account(page, "bob@example.com")
    sign_in(page)
    expect_signed_in(page)
    page.locator("summary", has_text="Change e-mail address").click()
    field(page, "New email").fill("bob@example.com")
    field(page, "Current password").fill("not the password")
    send = page.get_by_role("button", name="Send a mail to the new address")
    send.click()
    expect_fault(page, "Current password", "The current password is wrong.")
    field(page, "Current password").fill(PASSWORD)
    send.click()
    expect_fault(page, "New email", "An account with this e-mail already exists. Sign in instead.")
    page.locator("summary", has_text="Change e-mail address").click()
    open_change(page)
    page.get_by_role("button", name="Keep the old address").click()
    expect_status(page, "Your e-mail address stays as it is.")
    open_change(page, "alice@third.example")
    mail = open_mail(page, CHANGE, "alice@third.example")
    field(page, "Code from that mail").fill(code_in(mail))
    page.get_by_role("button", name="Change my address").click()
    expect_status(page, "Your e-mail address is changed.")
    expect(page.get_by_text("Signed in as alice@third.example")).to_be_visible()


def test_a_link_to_change_the_address_waits_for_the_sign_in(open_page):
    page = open_page("/app/")
    make_account(page)
    sign_in(page)
    expect_signed_in(page)
    open_change(page)
    mail = open_mail(page, CHANGE, NEW_EMAIL)
    log_out(page)
    linked = follow_link(mail)
    expect_status(linked, "Sign in to confirm your new e-mail address.")
    sign_in(linked)
    expect(linked.get_by_role("heading", name="Confirm your new e-mail address")).to_be_focused()
    linked.get_by_role("button", name="Confirm").click()
    expect_status(linked, "Your e-mail address is confirmed.")


def test_somebody_changes_the_address_by_the_link_and_the_old_one_takes_it_back(open_page, check, scheme, watch):
    watch.expect(refused(401))
    page = open_page("/app/", color_scheme=scheme)
    make_account(page)
    sign_in(page)
    expect_signed_in(page)
    open_change(page)
    check(page, "a change of the address")
    linked = follow_link(open_mail(page, CHANGE, NEW_EMAIL))
    expect(linked.get_by_role("heading", name="Confirm your new e-mail address")).to_be_focused()
    check(linked, "the link of a change")
    linked.get_by_role("button", name="Confirm").click()
    expect_status(linked, "Your e-mail address is confirmed.")
    expect(linked.get_by_text(f"Signed in as {NEW_EMAIL}")).to_be_visible()

    undone = follow_link(open_mail(page, CHANGED, ALICE))
    expect(undone.get_by_role("heading", name="Undo the change of your e-mail address")).to_be_focused()
    check(undone, "the link of the undoing")
    undone.get_by_role("button", name="Undo the change").click()
    expect_status(undone, UNDONE)
    reset = follow_link(open_mail(page, RESET, ALICE))
    set_password(reset)
    sign_in(reset, ALICE, NEW_PASSWORD)
    expect_signed_in(reset)
