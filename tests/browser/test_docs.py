"""Swagger UI in the browser: read, authorize, try out."""

from tests.browser.app import expect
from tests.conftest import ALICE, PASSWORD


def test_somebody_authorizes_and_tries_the_guarded_route(open_page, service):
    page = open_page("/docs")
    token = _token(page, service)

    page.get_by_role("button", name="Authorize").click()
    dialog = page.locator(".modal-ux")
    scheme = dialog.locator(".auth-container", has_text="bearer")
    scheme.get_by_label("Value").fill(token)
    scheme.get_by_role("button", name="Apply credentials").click()
    scheme.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()

    operation = page.locator(".opblock", has_text="/users/test")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text("You did it!")


def test_an_example_can_be_sent_as_it_stands(open_page, service):
    page = open_page("/docs")
    operation = page.locator(".opblock-post", has_text="Create an account")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("201")
    expect(answer).to_contain_text("natalie@example.com")


def _token(page, service):
    credentials = {"email": ALICE, "password": PASSWORD}
    assert page.request.post(f"{service.url}/users", data=credentials).status == 201
    answer = page.request.post(f"{service.url}/auth", data=credentials)
    assert answer.status == 200
    return answer.json()["token"]
