"""What a link of a mail does before somebody acts."""

from tests.browser.app import (
    expect_signed_in,
    expect_signed_out,
    make_account,
    sign_in,
)
from tests.database import needs_embedded

pytestmark = needs_embedded


def test_nothing_is_sent_before_somebody_acts_and_the_address_forgets_the_token(open_page, service):
    page = open_page("/")
    asked = []
    page.on("request", lambda request: asked.append((request.method, request.url, request.headers.get("referer", ""))))
    for action in ("reset", "sign-up", "undo-email-change", "verify-email", "change-email"):
        page.goto(f"{service.url}/app/?action={action}&token=t0ken")
        page.wait_for_load_state("networkidle")
        assert page.url == f"{service.url}/app/"
        assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])") == "[{},{}]"
    assert {method for method, _, _ in asked} == {"GET"}
    assert [url for _, url, _ in asked if "t0ken" in url and "/app/?" not in url] == []
    assert {referer for _, _, referer in asked} == {""}


def test_somebody_who_goes_back_is_where_they_were(open_page, service):
    page = open_page("/app/")
    page.get_by_role("button", name="Forgot your password?").click()
    page.get_by_role("button", name="Back").click()
    expect_signed_out(page)
    make_account(page)
    sign_in(page)
    expect_signed_in(page)
    page.goto(f"{service.url}/app/?action=undo-email-change&token=t0ken")
    page.get_by_role("button", name="Back").click()
    expect_signed_in(page)
