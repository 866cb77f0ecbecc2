"""Every page is quiet, without a request to another host: the ``watch`` of each test sees to that."""

import pytest

from tests.browser.app import expect


@pytest.mark.parametrize(
    ("path", "heading"),
    [("/", "authservice"), ("/app", "authservice"), ("/docs", "authservice")],
)
def test_a_page_opens_without_a_complaint(open_page, path, heading):
    page = open_page(path)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
        page.wait_for_load_state("networkidle")


def test_the_home_page_leads_everywhere(open_page):
    page = open_page("/")
    for name in ("Try the app", "Read and try the API", "OpenAPI description", "README"):
        with page.expect_response(lambda answer: answer.request.is_navigation_request()) as seen:
            page.get_by_role("link", name=name).click()
        assert seen.value.status in (200, 308), name
        page.go_back()


def test_the_policy_holds_against_what_is_injected(open_page, watch):
    watch.expect("CSP ", "Executing inline script violates", "Applying inline style violates")
    watch.expect("Loading the image 'https://elsewhere.example/", "to https://elsewhere.example/")
    page = open_page("/app/")
    gone_out = []
    page.on("response", lambda answer: gone_out.append(answer.url))
    page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.injected = true';
            document.body.append(script);
            const style = document.createElement('style');
            style.textContent = 'body { --injected: yes }';
            document.body.append(style);
            const image = document.createElement('img');
            image.src = 'https://elsewhere.example/?secret';
            document.body.append(image);
        }"""
    )
    assert page.evaluate("window.injected") is None
    assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--injected')") == ""
    assert [url for url in gone_out if "elsewhere" in url] == []
    directives = {complaint.split()[1] for complaint in watch.seen() if complaint.startswith("CSP ")}
    assert directives == {"script-src-elem", "style-src-elem", "img-src"}
