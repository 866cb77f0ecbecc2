"""Take the README's pictures of the running service: ``tox -e screenshots``."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.needs import CHROMIUM_FLAGS, chromium
from tests.service import ROOT, Service

IMAGES = ROOT / "docs" / "images"
NATALIE = ("natalie@example.com", "correct horse battery")
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604"


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        service = Service(
            Path(directory) / "service.log",
            {"FLASK_INSTANCE_PATH": f"{directory}/instance", "FLASK_BCRYPT_LOG_ROUNDS": "4"},
        )
        try:
            service.wait_until_ready("/readyz")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
                take_client(browser, service.url)
                take_docs(browser, service.url)
        finally:
            service.stop()


def take_client(browser: Browser, url: str) -> None:
    """Signed in, with a second session on a phone; light and dark."""
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": 420, "height": 680}, color_scheme=scheme)
        credentials = {"email": NATALIE[0], "password": NATALIE[1]}
        context.request.post(f"{url}/users", data=credentials)
        if scheme == "light":
            context.request.post(f"{url}/auth", data=credentials, headers={"User-Agent": PHONE})
        page = context.new_page()
        page.goto(f"{url}/app/")
        page.get_by_label("Email", exact=True).filter(visible=True).fill(NATALIE[0])
        page.get_by_label("Password", exact=True).filter(visible=True).fill(NATALIE[1])
        page.get_by_role("button", name="Sign in").click()
        page.locator("#sessions li").first.wait_for()
        page.get_by_role("button", name="Test protected route").click()
        page.get_by_text("You did it!").wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / f"client-{scheme}.png")
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="Sign in").wait_for()
        context.close()


def take_docs(browser: Browser, url: str) -> None:
    """The guarded route, called with a token."""
    page = browser.new_page(viewport={"width": 960, "height": 860})
    answer = page.request.post(f"{url}/auth", data={"email": NATALIE[0], "password": NATALIE[1]})
    page.goto(f"{url}/docs")
    page.get_by_role("button", name="Authorize").click()
    dialog = page.locator(".modal-ux")
    scheme = dialog.locator(".auth-container", has_text="bearer")
    scheme.get_by_label("Value").fill(answer.json()["token"])
    scheme.get_by_role("button", name="Apply credentials").click()
    scheme.get_by_role("button", name="Close").click()
    operation = page.locator(".opblock", has_text="/users/test")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    operation.get_by_text("You did it!").first.wait_for()
    page.wait_for_timeout(500)
    page.locator("#operations-tag-users").evaluate("(it) => it.scrollIntoView()")
    page.screenshot(path=IMAGES / "docs.png")


if __name__ == "__main__":
    main()
