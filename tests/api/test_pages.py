"""/, /app/ and /docs: strict policies, right caching, and a clear word while the client is not built."""

import functools
import re

import pytest

from authservice.web import pages

STRICT = {
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture
def get(client):
    """GET that reads the whole answer, so that the file behind it is closed."""
    return functools.partial(client.get, buffered=True)


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A client as the build leaves it, whether npm is here or not."""
    monkeypatch.setattr(pages, "CLIENT", tmp_path)
    (tmp_path / "index.html").write_text('<meta name="csp-nonce" content="__CSP_NONCE__" />')
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-0a1b2c3d.js").write_text("'use strict'")


def policy(answer):
    return set(answer.headers["Content-Security-Policy"].split("; "))


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/", {"style-src 'self'", "img-src 'self'"}),
        ("/docs", {"style-src 'self'", "img-src 'self' data:"}),
    ],
)
def test_a_page_has_a_strict_policy(get, path, more):
    answer = get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert policy(answer) == STRICT | more
    assert answer.headers["Cache-Control"] == "no-cache"
    assert not re.search(r"<style|style=|<script>|\son\w+=", answer.text)


def test_the_client_gets_a_nonce_of_its_own_for_each_answer(get, built):
    nonces = set()
    for _ in range(3):
        answer = get("/app/")
        (nonce,) = re.findall(r'content="([^"]+)"', answer.text)
        assert answer.status_code == 200
        assert policy(answer) == STRICT | {f"style-src 'self' 'nonce-{nonce}'", "img-src 'self'"}
        assert answer.headers["Cache-Control"] == "no-store"
        nonces.add(nonce)
    assert len(nonces) == 3
    assert all(len(nonce) >= 22 for nonce in nonces)  # 128 bits, as CSP asks for


def test_the_client_is_led_to_its_slash_on_whatever_host_the_browser_knows(get):
    answer = get("/app")
    assert (answer.status_code, answer.headers["Location"]) == (308, "app/")


def test_hashed_assets_are_kept_for_ever(get, built):
    answer = get("/app/assets/index-0a1b2c3d.js")
    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_client_that_is_not_built_says_which_command_builds_it(get, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "CLIENT", tmp_path)
    answer = get("/app/")
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "npm --prefix client ci &amp;&amp; npm --prefix client run build" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/app/assets/missing.js",
        "/app/assets/..%2findex.html",
        "/app/assets/../../../__init__.py",
        "/static/..%2f__init__.py",
        "/static/missing.css",
        "/docs/missing.js",
        "/docs/..%2f__init__.py",
    ],
)
def test_what_is_no_file_of_ours_is_not_found(get, built, path):
    answer = get(path)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    assert "immutable" not in answer.headers["Cache-Control"]


def test_the_readme_of_the_version_that_runs_is_served_as_text(get):
    answer = get("/readme")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.text.startswith("# authservice")


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/users/me", "/nowhere"])
def test_every_answer_has_the_security_headers(get, path):
    headers = get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers
    secure = get(path, base_url="https://localhost").headers
    assert secure["Strict-Transport-Security"] == "max-age=31536000"


def test_an_answer_of_the_api_may_load_nothing(get):
    assert get("/healthz").headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_range_beyond_the_end_says_so(client):
    answer = client.get("/docs/swagger-ui.css", headers={"Range": "bytes=99999999-"})
    assert (answer.status_code, answer.get_json()["code"]) == (416, "range_not_satisfiable")
