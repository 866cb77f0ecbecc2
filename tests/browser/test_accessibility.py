"""axe finds no fault on any page in any state, light or dark. Swagger UI's page is left out: it is not ours."""

import pytest

from tests.browser.app import (
    create_account,
    enter,
    expect,
    expect_fault,
    expect_problem,
    expect_signed_in,
    expect_signed_out,
    field,
    make_account,
    sign_in,
)
from tests.browser.conftest import AWAY, refused
from tests.conftest import ALICE, CHARLIE


def test_the_home_page_is_accessible(open_page, check, scheme):
    check(open_page("/", color_scheme=scheme), "home")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_readme_is_accessible(open_page, check, scheme, width):
    page = open_page("/readme", color_scheme=scheme, viewport={"width": width, "height": 740})
    page.get_by_text("Contents").click()
    check(page, "readme")


def test_the_client_is_accessible_to_somebody_who_signs_up(open_page, check, scheme, watch):
    watch.expect(refused(401), refused(409), refused(422))
    page = open_page("/app/", color_scheme=scheme)
    expect_signed_out(page)
    check(page, "sign in")
    sign_in(page, CHARLIE)
    expect_problem(page, "No enabled account has this e-mail and password.")
    check(page, "wrong password")
    create_account(page, ALICE, "short")
    expect_fault(page, "Password", "Use at least 8 characters.")
    check(page, "short password")
    make_account(page)
    create_account(page)
    expect_fault(page, "Email", "An account with this e-mail already exists. Sign in instead.")
    check(page, "taken e-mail")


def test_the_client_is_accessible_to_somebody_who_is_signed_in(open_page, check, scheme, watch):
    watch.expect(AWAY, refused(403), refused(422))
    page = open_page("/app/", color_scheme=scheme)
    enter(page)
    other = open_page("/app/", color_scheme=scheme)
    sign_in(other)
    expect_signed_in(other)
    page.reload()
    expect(page.locator("#sessions li")).to_have_count(2)
    check(page, "two sessions")
    page.locator("summary", has_text="Change password").click()
    page.locator("summary", has_text="Delete account").click()
    check(page, "forms open")
    page.get_by_role("button", name="Change password").click()
    expect_fault(page, "Current password", "Send a password.")
    field(page, "Your password").fill("not the password")
    page.get_by_role("button", name="Delete my account").click()
    expect(field(page, "Your password")).to_have_attribute("aria-invalid", "true")
    check(page, "forms refused")
    page.route("**/auth/refresh", lambda route: route.abort("connectionrefused"), times=1)
    page.reload()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    check(page, "service away")
