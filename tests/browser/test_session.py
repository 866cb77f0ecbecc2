"""session.ts by itself, in a front-end that is not ours: an app on another origin, without cookies."""

import shutil
import subprocess

import pytest

from tests.browser.app import expect
from tests.browser.needs import CLIENT, missing
from tests.conftest import ALICE, PASSWORD

ORIGIN = "http://localhost:8100"  # `ionic serve`, and one of the default CORS_ORIGINS


@pytest.fixture(scope="session")
def session_js(tmp_path_factory):
    """The file as a browser reads it."""
    compiler = CLIENT / "node_modules" / ".bin" / "tsc"
    if not compiler.exists() or shutil.which("node") is None:
        missing("no TypeScript: npm --prefix client ci")
    out = tmp_path_factory.mktemp("session")
    subprocess.run(
        [compiler, "--ignoreConfig", "--module", "esnext", "--target", "es2022", "--outDir", out, "src/session.ts"],
        cwd=CLIENT,
        check=True,
    )
    return (out / "session.js").read_text()


@pytest.fixture
def foreign_page(service, new_context, session_js):
    """A blank page of another origin with ``session``, whose refresh token the app keeps in ``kept``."""
    context = new_context()
    context.route(f"{ORIGIN}/", lambda route: route.fulfill(content_type="text/html", body="<title>app</title>"))
    context.route(
        f"{ORIGIN}/session.js", lambda route: route.fulfill(content_type="text/javascript", body=session_js)
    )

    def open_page():
        page = context.new_page()
        page.goto(f"{ORIGIN}/")
        page.evaluate(
            """async (base) => {
                const { Session } = await import('/session.js');
                window.store = {
                    read: async () => localStorage.getItem('kept'),
                    write: async (token) => localStorage.setItem('kept', token),
                    clear: async () => localStorage.removeItem('kept'),
                };
                window.session = new Session(base, window.store);
                window.changes = [];
                window.session.addEventListener('change', (event) => window.changes.push(event.detail));
            }""",
            service.url,
        )
        return page

    return open_page


def test_an_app_of_another_origin_keeps_the_refresh_token_itself(foreign_page):
    page = foreign_page()
    page.evaluate("(all) => session.createAccount(...all)", [ALICE, PASSWORD])
    page.evaluate("(all) => session.signIn(...all)", [ALICE, PASSWORD])
    assert page.evaluate("session.user.email") == ALICE
    assert page.context.cookies() == []
    first = page.evaluate("store.read()")
    assert first.count(".") == 2

    page = foreign_page()  # the app is opened again
    assert page.evaluate("session.resume()") is True
    assert page.evaluate("session.call('GET', '/users/test')") == {"message": "You did it!"}
    assert page.evaluate("store.read()") != first

    page.evaluate("session.signOut()")
    assert page.evaluate("[session.user ?? null, changes]") == [None, ["signed-out"]]
    assert page.evaluate("store.read()") is None
    assert page.evaluate("session.resume()") is False


def test_many_calls_at_once_renew_once(foreign_page):
    page = foreign_page()
    page.evaluate("(all) => session.createAccount(...all)", [ALICE, PASSWORD])
    page.evaluate("(all) => session.signIn(...all)", [ALICE, PASSWORD])
    page = foreign_page()
    refreshes = []
    page.on("request", lambda request: refreshes.append(request.method) if "/auth/refresh" in request.url else None)
    answers = page.evaluate("Promise.all(Array.from({length: 20}, () => session.call('GET', '/users/test')))")
    assert answers == [{"message": "You did it!"}] * 20
    assert refreshes.count("POST") == 1


@pytest.mark.parametrize("gone", ["navigator.locks", "BroadcastChannel"])
def test_a_browser_without_it_serves(foreign_page, gone):
    page = foreign_page()
    page.context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'locks', {value: undefined})"
        if gone == "navigator.locks"
        else "delete window.BroadcastChannel"
    )
    page = foreign_page()
    assert page.evaluate(f"typeof {gone}") == "undefined"
    page.evaluate("(all) => session.createAccount(...all)", [ALICE, PASSWORD])
    page.evaluate("(all) => session.signIn(...all)", [ALICE, PASSWORD])
    page = foreign_page()
    assert page.evaluate("session.resume()") is True


def test_a_lock_that_another_tab_never_gives_back_delays_and_no_more(foreign_page):
    page = foreign_page()
    page.evaluate("(all) => session.createAccount(...all)", [ALICE, PASSWORD])
    page.evaluate("(all) => session.signIn(...all)", [ALICE, PASSWORD])
    page.evaluate("void navigator.locks.request('authservice.session', () => new Promise(() => undefined))")
    other = page.context.new_page()
    other.clock.install()
    other.close()
    second = foreign_page()
    second.evaluate("window.resumed = null; void session.resume().then((it) => { window.resumed = it; })")
    second.wait_for_timeout(500)
    assert second.evaluate("resumed") is None
    second.wait_for_function("resumed === true", timeout=20_000)


def test_an_answer_that_never_comes_is_given_up(foreign_page, service):
    page = foreign_page()
    page.route("**/auth", lambda route: None)
    page.evaluate("setTimeout = ((real) => (f, ms) => real(f, ms / 100))(setTimeout)")
    message = page.evaluate("(all) => session.signIn(...all).catch((error) => error.message)", [ALICE, PASSWORD])
    assert message == "The service does not answer. Check your connection and try again."
    expect(page).to_have_title("app")
    page.unroute_all(behavior="ignoreErrors")
