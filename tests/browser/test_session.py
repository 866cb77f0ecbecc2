"""session.ts by itself, in a front-end that is not ours: an app on another origin, without cookies."""

import functools
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.browser.needs import CLIENT, missing
from tests.conftest import ALICE, PASSWORD

# the time-outs of session.ts, twenty times as fast
HURRY = "const real = setTimeout; window.setTimeout = (f, ms) => real(f, ms / 20)"
PAGE = "<!doctype html><title>app</title><link rel='icon' href='data:,'>"


@pytest.fixture(scope="session")
def app_server(app_origin, tmp_path_factory):
    """A front-end that is not ours: a blank page and session.ts, as a browser reads it."""
    compiler = CLIENT / "node_modules" / ".bin" / "tsc"
    if not compiler.exists() or shutil.which("node") is None:
        missing("no TypeScript: npm --prefix client ci")
    site = tmp_path_factory.mktemp("site")
    (site / "index.html").write_text(PAGE)
    subprocess.run(
        [compiler, "--ignoreConfig", "--module", "esnext", "--target", "es2022", "--outDir", site, "src/session.ts"],
        cwd=CLIENT,
        check=True,
    )
    handler = functools.partial(QuietHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", urlsplit(app_origin).port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield app_origin
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def open_app(service, new_context, app_server):
    """Open the front-end; ``window.session`` is its session, whose refresh token it keeps in ``window.store``."""
    context = new_context()

    def open_app(before="", by_cookie=False):
        page = context.new_page()
        page.goto(app_server)
        page.evaluate(
            """async ([base, before, byCookie]) => {
                new Function(before)();
                const { Session } = await import('/session.js');
                window.store = {
                    read: async () => localStorage.getItem('kept'),
                    write: async (token) => localStorage.setItem('kept', token),
                    clear: async () => localStorage.removeItem('kept'),
                };
                window.session = new Session(base, byCookie ? undefined : window.store);
                window.changes = [];
                window.session.addEventListener('change', (event) => window.changes.push(event.detail));
            }""",
            # localhost and 127.0.0.1 are different sites, and a SameSite=Strict cookie knows one alone
            [f"http://localhost:{service.port}" if by_cookie else service.url, before, by_cookie],
        )
        return page

    return open_app


def enter(page):
    page.evaluate("(all) => session.createAccount(...all)", [ALICE, PASSWORD])
    page.evaluate("(all) => session.signIn(...all)", [ALICE, PASSWORD])


def test_an_app_of_another_origin_keeps_the_refresh_token_itself(open_app):
    page = open_app()
    enter(page)
    assert page.evaluate("session.user.email") == ALICE
    assert page.context.cookies() == []
    first = page.evaluate("store.read()")
    assert first.count(".") == 2

    page = open_app()  # the app is opened again
    assert page.evaluate("session.resume()") is True
    assert page.evaluate("session.call('GET', '/users/test')") == {"message": "You did it!"}
    assert page.evaluate("store.read()") != first

    page.evaluate("session.signOut()")
    assert page.evaluate("[session.user ?? null, changes]") == [None, ["signed-out"]]
    assert page.evaluate("store.read()") is None
    assert page.evaluate("session.resume()") is False


def test_an_app_of_another_origin_and_the_same_site_may_use_the_cookie(open_app):
    page = open_app(by_cookie=True)
    enter(page)
    assert page.evaluate("store.read()") is None
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-refresh"
    page = open_app(by_cookie=True)
    assert page.evaluate("session.resume()") is True
    page.evaluate("session.signOut()")
    assert page.context.cookies() == []


def test_many_calls_at_once_renew_once(open_app):
    page = open_app()
    enter(page)
    page = open_app()
    refreshes = []
    page.on("response", lambda answer: refreshes.append(answer.request.method) if "/refresh" in answer.url else None)
    answers = page.evaluate("Promise.all(Array.from({length: 20}, () => session.call('GET', '/users/test')))")
    assert answers == [{"message": "You did it!"}] * 20
    assert refreshes.count("POST") == 1


@pytest.mark.parametrize(
    ("api", "removal"),
    [
        ("navigator.locks", "Object.defineProperty(navigator, 'locks', {value: undefined})"),
        ("window.BroadcastChannel", "delete window.BroadcastChannel"),
    ],
)
def test_a_browser_that_lacks_an_api_is_served(open_app, api, removal):
    page = open_app(before=removal)
    assert page.evaluate(f"typeof {api}") == "undefined"
    enter(page)
    page = open_app(before=removal)
    assert page.evaluate("session.resume()") is True


def test_a_tab_that_hangs_with_the_lock_delays_the_others_and_no_more(open_app):
    page = open_app(before=HURRY)
    enter(page)
    page.evaluate("void navigator.locks.request('authservice.session', () => new Promise(() => undefined))")
    page.evaluate("window.resumed = null; void session.resume().then((it) => { window.resumed = it; })")
    page.wait_for_timeout(200)
    assert page.evaluate("resumed") is None
    page.wait_for_function("resumed === true")


def test_an_answer_that_never_comes_is_given_up(open_app):
    page = open_app(before=HURRY)
    page.route("**/auth", lambda _: None)
    message = page.evaluate("(all) => session.signIn(...all).catch((error) => error.message)", [ALICE, PASSWORD])
    assert message == "The service does not answer. Check your connection and try again."
