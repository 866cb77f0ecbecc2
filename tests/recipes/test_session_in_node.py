"""session.ts without a browser, as on a server that renders pages, and the message that it has for each answer."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from authservice import errors
from authservice.web import problems
from tests.docs.test_readme import refusals

# words that mean nothing to a user
JARGON = re.compile(
    r"\b(POST|GET|Authorization|Bearer|JSON|HTTP|headers?|body|route|token|null|undefined|[a-z]+[A-Z]\w*)\b|FLASK_|/"
)
FAULTS = [
    errors.Fault("/email", "invalid_email", "Send an e-mail address such as natalie@example.com."),
    errors.Fault("/newPassword", "too_short", "Use at least 8 characters."),
]
ARGUMENTS = {
    errors.ValidationFailed: (FAULTS,),
    errors.EmailAmbiguous: (["5c0dc18d349bc9479600c171"] * 2,),
    errors.TooManyAttempts: (7,),
    errors.StepUpRequired: (600, "aal2"),
    errors.SecondFactorRequired: ("continuation", 300, ["totp"]),
}
ANSWERS = {
    "html": (200, "text/html", b"<!doctype html><title>An app</title>"),
    "empty": (200, "text/plain", b""),
    "proxy": (502, "text/html", b"<h1>Bad gateway</h1>"),
    "other": (500, "application/json", b'{"message": "Internal server error"}'),
    "list": (400, "application/json", b"[]"),
    "nothing": (400, "application/json", b"null"),
}
SAY = """
import { Session } from './session.js';
const said = {};
for (const name of process.argv.slice(3)) {
  await new Session(`${process.argv[2]}/${name}`).createAccount('a', 'b').catch(({ message, code, status, detail }) => {
    said[name] = { message, code, status, detail };
  });
}
console.log(JSON.stringify(said));
"""


def refusal(code):
    (kind,) = [kind for kind in refusals() if kind.code == code]
    return kind(*ARGUMENTS.get(kind, ()))


class Handler(BaseHTTPRequestHandler):
    """A server that answers /<name>/users with the answer or refusal of that name."""

    def do_POST(self):
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        name = self.path.split("/")[1]
        if name in ANSWERS:
            status, kind, body = ANSWERS[name]
            wait = None
        else:
            refused = refusal(name)
            status, kind, wait = refused.status, problems.MEDIA_TYPE, refused.retry_after_seconds
            body = json.dumps(problems.details(refused, "0" * 32)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if wait is not None:
            self.send_header("Retry-After", str(wait))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_server_that_renders_is_not_kept_awake(node):
    script = """
        import { Session } from './session.js';
        const session = new Session('/api', { origins: ['https://api.example.com'] });
        session.addEventListener('change', () => undefined);
        const urls = ['https://api.example.com/x', 'https://evil.example', '/api'];
        const reaches = urls.map((url) => session.reaches(url));
        console.log(JSON.stringify([await session.resume(), session.user ?? null, reaches]));
    """
    assert json.loads(node(script)) == [False, None, [True, False, False]]


def test_who_never_signed_in_is_told_to_and_nothing_is_sent(node, server):
    script = f"""
        import {{ NotSignedIn, Session }} from './session.js';
        const session = new Session('{server.url}');
        const error = await session.call('POST', '/html').catch((it) => it);
        console.log(JSON.stringify([error instanceof NotSignedIn, error.message, await session.accessToken() ?? null]));
    """
    assert json.loads(node(script)) == [True, "Sign in first.", None]
    assert server.asked == []


def test_every_refusal_is_a_sentence_for_people(node, server):
    codes = [kind.code for kind in refusals()]
    said = json.loads(node(SAY, server.url, *codes))
    assert list(said) == codes
    assert [one for code, one in said.items() if one["code"] != code] == []
    bad = {code: one["message"] for code, one in said.items() if JARGON.search(one["message"])}
    assert bad == {}
    assert [one for one in said.values() if not re.fullmatch(r"[A-Z].*\.", one["message"])] == []
    assert said["body_malformed"]["detail"] == errors.BodyMalformed.explanation


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "validation_failed",
            "Email: Send an e-mail address such as natalie@example.com. New password: Use at least 8 characters.",
        ),
        ("credentials_invalid", "No enabled account has this e-mail and password."),
        ("password_wrong", "The current password is wrong."),
        ("token_missing", "Your session has ended. Sign in again."),
        ("hashing_busy", "Too many passwords are being checked. Try again in a second."),
        ("database_unavailable", "The database does not answer. Try again in 2 seconds."),
        ("internal_error", "Something went wrong. Try again later."),
    ],
)
def test_a_refusal_is_said(node, server, code, message):
    assert json.loads(node(SAY, server.url, code))[code]["message"] == message


def test_an_answer_that_is_not_the_services_is_told_as_that(node, server):
    said = json.loads(node(SAY, server.url, *ANSWERS))
    assert {name: (one["status"], one["code"], one["message"]) for name, one in said.items()} == {
        "html": (200, "answer_malformed", "Another server answered instead of the service."),
        "empty": (200, "answer_malformed", "Another server answered instead of the service."),
        "proxy": (502, "unknown", "The service answered 502. Try again later."),
        "other": (500, "unknown", "The service answered 500. Try again later."),
        "list": (400, "unknown", "The service answered 400. Try again later."),
        "nothing": (400, "unknown", "The service answered 400. Try again later."),
    }
    assert said["html"]["detail"] == f"POST {server.url}/html/users was answered 200, but not with JSON."
