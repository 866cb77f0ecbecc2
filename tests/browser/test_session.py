"""session.ts in another front-end: an app on another origin, with and without cookies."""

import functools
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests

from tests.browser.needs import CLIENT, missing
from tests.conftest import ALICE, PASSWORD

# twenty times as fast as the time-outs of session.ts
HURRY = "const real = AbortSignal.timeout; AbortSignal.timeout = (ms) => real.call(AbortSignal, ms / 20)"
PAGE = "<!doctype html><title>app</title><link rel='icon' href='data:,'>"


@pytest.fixture(scope="session")
def app_server(app_origin, tmp_path_factory):
    """Another front-end: a blank page with session.ts, compiled for the browser."""
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
    """Open the front-end. ``window.session`` is its session, which keeps the refresh token in ``window.store``."""
    context = new_context()

    def open_app(before="", by_cookie=False, origins=()):
        page = context.new_page()
        page.goto(app_server)
        page.evaluate(
            """async ([base, before, byCookie, origins]) => {
                new Function(before)();
                const { Session } = await import('/session.js');
                window.store = {
                    read: async () => localStorage.getItem('kept'),
                    write: async (token) => localStorage.setItem('kept', token),
                    clear: async () => localStorage.removeItem('kept'),
                    readDevice: async () => localStorage.getItem('device'),
                    writeDevice: async (token) => localStorage.setItem('device', token),
                };
                window.session = new Session(base, { origins, store: byCookie ? undefined : window.store });
                window.changes = [];
                window.session.addEventListener('change', (event) => window.changes.push(event.detail));
            }""",
            # localhost and 127.0.0.1 are different sites, and a SameSite=Strict cookie belongs to one
            [f"http://localhost:{service.port}" if by_cookie else service.url, before, by_cookie, list(origins)],
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
    assert page.evaluate("[session.user ?? null, changes]") == [None, ["resumed", "signed-out"]]
    assert page.evaluate("store.read()") is None
    assert page.evaluate("session.resume()") is False


def test_an_app_that_keeps_its_tokens_is_known_as_a_device_after_a_sign_out(open_app):
    page = open_app()
    enter(page)
    device = page.evaluate("store.readDevice()")
    page.evaluate("session.signOut()")
    assert page.evaluate("store.readDevice()") == device
    page.evaluate("(all) => session.signIn(...all)", [ALICE, PASSWORD])
    listed = page.evaluate("session.call('GET', '/users/me/devices')")["devices"]
    assert [one["current"] for one in listed] == [True]
    assert page.evaluate("store.readDevice()") == device


def test_an_app_of_another_origin_and_the_same_site_may_use_the_cookie(open_app):
    page = open_app(by_cookie=True)
    enter(page)
    assert page.evaluate("store.read()") is None
    assert {cookie["name"] for cookie in page.context.cookies()} == {"__Host-refresh", "__Host-device"}
    page = open_app(by_cookie=True)
    assert page.evaluate("session.resume()") is True
    page.evaluate("session.signOut()")
    assert {cookie["name"] for cookie in page.context.cookies()} == {"__Host-device"}


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
    page = open_app(before=HURRY)
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


class Api(BaseHTTPRequestHandler):
    """Another API. It asks the service about each token, and accepts none that is in ``refused``."""

    def do_OPTIONS(self):
        self.answer(204)

    def do_PUT(self):
        authorization = self.headers.get("Authorization")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((authorization, body))
        if self.path == "/elsewhere":
            self.answer(307, Location=self.server.elsewhere)
        elif authorization is None or authorization in self.server.refused:
            self.answer(401)
        else:
            self.answer(
                requests.get(self.server.verify, headers={"Authorization": authorization}, timeout=5).status_code
            )

    def answer(self, status, **headers):
        self.send_response(status)
        headers |= {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "PUT", "Content-Length": "0"}
        for name, value in {**headers, "Access-Control-Allow-Headers": "authorization, content-type"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def make_api(service):
    running = []

    def make_api(elsewhere=""):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        server.seen, server.refused, server.elsewhere = [], set(), elsewhere
        server.url, server.verify = f"http://127.0.0.1:{server.server_port}", f"{service.url}/auth/verify"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield make_api
    for server in running:
        server.shutdown()
        server.server_close()


PUT = "(url) => session.fetch(url, {method: 'PUT', body: 'a note'}).then((answer) => answer.status)"


def test_an_api_of_the_list_gets_the_token_and_a_new_one_when_it_refuses(open_app, make_api):
    api = make_api()
    page = open_app(origins=[api.url])
    enter(page)
    assert page.evaluate(PUT, f"{api.url}/notes") == 204
    ((first, _),) = api.seen
    assert first == f"Bearer {page.evaluate('session.accessToken()')}"

    api.refused.add(first)
    assert page.evaluate(PUT, f"{api.url}/notes") == 204
    assert [body for _, body in api.seen] == [b"a note"] * 3
    assert api.seen[1][0] == first != api.seen[2][0]

    page.evaluate("session.signOut()")
    assert page.evaluate(PUT, f"{api.url}/notes") == 401  # asked once, without a token
    assert [authorization for authorization, _ in api.seen[3:]] == [None]


def test_nobody_else_gets_the_token(open_app, make_api):
    stranger = make_api()
    api = make_api(elsewhere=f"{stranger.url}/notes")
    page = open_app(origins=[api.url])
    enter(page)
    for url in (f"{stranger.url}/notes", "/notes", "http://127.0.0.1.evil.example/", "data:text/plain,x"):
        assert "is not of the origins" in page.evaluate(f"(url) => ({PUT})(url).catch((error) => error.message)", url)
    assert stranger.seen == []
    assert page.evaluate(PUT, f"{api.url}/elsewhere") == 401
    assert api.seen[0][0].startswith("Bearer ")
    assert {authorization for authorization, _ in stranger.seen} == {None}


def test_a_token_that_is_about_to_expire_is_renewed(open_app):
    page = open_app()
    assert page.evaluate("session.accessToken()") is None
    enter(page)
    first = page.evaluate("session.accessToken()")
    assert page.evaluate("session.accessToken()") == first
    page.evaluate("const real = Date.now; Date.now = () => real() + 3_580_000")
    second = page.evaluate("session.accessToken()")
    assert second != first
    page = open_app()
    assert page.evaluate("session.accessToken()") not in (None, first, second)
    assert page.evaluate("[session.user.email, changes]") == [ALICE, ["resumed"]]


def test_a_resumed_session_says_so_once(open_app):
    page = open_app(by_cookie=True)
    assert page.evaluate("session.resume()") is False
    assert page.evaluate("changes") == []
    enter(page)
    page = open_app(by_cookie=True)
    assert page.evaluate("Promise.all([session.resume(), session.resume()])") == [True, True]
    assert page.evaluate("session.resume()") is True
    assert page.evaluate("changes") == ["resumed"]


def test_who_never_signed_in_is_told_to_sign_in(open_app):
    page = open_app()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.evaluate("session.call('GET', '/users/test').catch((error) => error.message)") == "Sign in first."
    assert asked == []


@pytest.mark.parametrize("by_cookie", [False, True])
def test_a_changed_password_leaves_this_session_working(open_app, by_cookie):
    page = open_app(by_cookie=by_cookie)
    enter(page)
    other = open_app(by_cookie=by_cookie)
    assert other.evaluate("session.resume()") is True
    calls = "Array.from({length: 5}, () => session.call('GET', '/users/me'))"
    for tab in (page, other):
        tab.evaluate(f"(all) => Promise.all([session.changePassword(...all), ...{calls}])", [PASSWORD, PASSWORD])
        assert tab.evaluate("session.call('GET', '/users/test')") == {"message": "You did it!"}
    assert page.evaluate("changes") == ["signed-in"]
    page = open_app(by_cookie=by_cookie)
    assert page.evaluate("session.resume()") is True


def test_a_closed_session_hears_nothing_and_may_be_resumed(open_app):
    first, second = open_app(by_cookie=True), open_app(by_cookie=True)
    enter(first)
    second.wait_for_function("session.user")
    first.evaluate("session.close()")
    assert first.evaluate("[session.user ?? null, changes]") == [None, ["signed-in"]]
    assert first.evaluate("session.resume()") is True
    first.evaluate("session.close()")
    second.evaluate("session.signOut()")
    first.wait_for_timeout(200)
    assert first.evaluate("changes") == ["signed-in", "resumed"]


def test_a_renewal_waits_for_a_password_change_that_is_under_way(open_app):
    page = open_app()
    enter(page)
    held = []
    page.route("**/users/me/password", lambda route: held.append((route, route.fetch())), times=1)
    page.evaluate("(all) => { window.change = session.changePassword(...all); }", [PASSWORD, PASSWORD])
    while not held:
        page.wait_for_timeout(20)
    page.evaluate("() => { window.call = session.call('GET', '/users/test').catch((error) => error.message); }")
    page.wait_for_timeout(300)
    route, answer = held[0]
    assert answer.status == 200
    route.fulfill(response=answer)
    assert page.evaluate("window.call") == {"message": "You did it!"}
    assert page.evaluate("change.then(() => changes)") == ["signed-in"]


def of_a_test(how, service):
    """JavaScript that asks for the test route by ``session.call`` or by ``session.fetch``."""
    if how == "call":
        return "session.call('GET', '/users/test').catch((error) => error.message)"
    return f"session.fetch('{service.url}/users/test').then((answer) => answer.json())"


@pytest.mark.parametrize("how", ["call", "fetch"])
def test_a_request_whose_new_token_a_changed_password_replaces_is_sent_once_more(open_app, service, how):
    first = open_app()
    enter(first)
    page = open_app()
    assert page.evaluate("session.resume()") is True
    change = "(all) => session.changePassword(...all)"
    first.evaluate(change, [PASSWORD, PASSWORD])  # from now on the token of this page is refused

    sent = []

    def hold_the_second(route):
        sent.append(route)
        if len(sent) != 2:
            route.continue_()

    page.route("**/users/test", hold_the_second)
    page.evaluate(f"() => {{ window.asked = {of_a_test(how, service)}; }}")
    while len(sent) < 2:  # the second has a new token
        page.wait_for_timeout(20)
    page.evaluate(change, [PASSWORD, PASSWORD])  # with that token, which this replaces
    sent[1].continue_()
    assert page.evaluate("asked") == {"message": "You did it!"}
    assert len({route.request.headers["authorization"] for route in sent}) == len(sent) == 3
    assert page.evaluate("changes") == ["resumed"]


@pytest.mark.parametrize("how", ["call", "fetch"])
def test_a_request_that_is_refused_with_every_new_token_is_given_up(open_app, service, how):
    page = open_app()
    enter(page)
    sent = []
    refusal = {"code": "token_invalid", "title": "The token is not valid", "detail": ""}

    def refuse(route):
        sent.append(route)
        route.fulfill(status=401, json=refusal, headers={"Access-Control-Allow-Origin": "*"})

    page.route("**/users/test", refuse)
    expected = {"call": "Your session has ended. Sign in again.", "fetch": refusal}
    assert page.evaluate(of_a_test(how, service)) == expected[how]
    assert len({route.request.headers["authorization"] for route in sent}) == len(sent) == 3
