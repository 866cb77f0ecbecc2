"""/, /app/, /docs and /readme: strict policies, correct caching, the built client, the README as HTML."""

import functools
import re

import pytest

from authservice.web import pages
from authservice.web.readme import render

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
    """A client as the build makes it, on machines without npm too."""
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
        ("/readme", {"style-src 'self'", "img-src 'self'"}),
    ],
)
def test_a_page_has_a_strict_policy(get, path, more):
    answer = get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert policy(answer) == STRICT | more
    assert answer.headers["Cache-Control"] == "no-cache"
    assert not re.search(r"<style|style=|<script>|\son\w+=", answer.text)


@pytest.mark.parametrize("domain", ["", "example.com"])
def test_the_client_is_told_for_which_domain_passkeys_are(make_app, domain):
    settings = {"PASSKEY_RP_ID": domain, "PASSKEY_ORIGINS": f"https://{domain}"} if domain else {}
    answer = make_app(**settings).test_client().get("/app/")
    assert re.findall(r'<meta name="passkey-domain" content="(.*?)"', answer.text) == [domain]


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
    assert all(len(nonce) >= 22 for nonce in nonces)  # CSP requires 128 bits


def test_the_client_is_led_to_its_slash_on_whatever_host_the_browser_knows(get):
    answer = get("/app")
    assert (answer.status_code, answer.headers["Location"]) == (308, "app/")


def test_hashed_assets_are_kept_for_ever(get, built):
    answer = get("/app/assets/index-0a1b2c3d.js")
    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_the_client_comes_built(get):
    page = get("/app/")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page.text)
    assert {asset.rpartition(".")[2] for asset in assets} == {"css", "js"}
    assert [asset for asset in assets if get(f"/app/{asset}").status_code != 200] == []


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
        "/readme/images/missing.png",
        "/readme/images/..%2f..%2fREADME.md",
    ],
)
def test_what_is_no_file_of_ours_is_not_found(get, built, path):
    answer = get(path)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    assert "immutable" not in answer.headers["Cache-Control"]


def test_the_readme_of_the_version_that_runs_is_a_page(get):
    answer = get("/readme")
    assert '<h1 id="authservice">' in answer.text
    assert '<h2 id="use-it-as-a-service"><a href="#use-it-as-a-service">' in answer.text
    assert "&lt;img" not in answer.text
    for image in re.findall(r'<img src="([^"]+)"', answer.text):
        assert get(f"/{image}").mimetype == "image/png"
    assert get("/readme", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_every_link_of_the_readme_leads_somewhere(get):
    page = get("/readme").text
    links = set(re.findall(r'href="([^"]+)"', page))
    anchors = {f"#{anchor}" for anchor in re.findall(r'id="([^"]+)"', page)}
    assert len(anchors) > 10
    inside = {link for link in links if not link.startswith("http")}
    assert inside - anchors == {"./", "static/favicon.svg", "static/home.css", "static/readme.css"}


def test_a_readme_without_its_repository_is_shown_without_pictures(get, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "checkout", lambda: None)
    monkeypatch.setattr(pages, "IMAGES", tmp_path / "docs" / "images")
    answer = get("/readme")
    assert answer.status_code == 200
    assert '<h1 id="authservice">' in answer.text
    assert "<img" not in answer.text


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a <img src=x onerror=alert(1)>", "<p>a &lt;img src=x onerror=alert(1)&gt;</p>"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("[a](data:text/html,x)", "<p>[a](data:text/html,x)</p>"),
        ("[a](CONTRIBUTING.md) [b](https://example.com)", '<p>a <a href="https://example.com">b</a></p>'),
        ("![a](docs/images/a.png)", '<p><img src="readme/images/a.png" alt="a" /></p>'),
        ("![a](docs/images/b.png)", "<p></p>"),
        ("![a](https://example.com/a.png)", "<p></p>"),
        ("# A `b`: c\n# A b c", '<h1 id="a-b-c"><a href="#a-b-c">A <code>b</code>: c</a></h1>\n'),
        ("# A\n# A", '<h1 id="a-1"><a href="#a-1">A</a></h1>'),
        ("|a|\n|-:|\n|1|", '<td class="right">1</td>'),
        ("```sh\na < b\n```", '<pre tabindex="0"><code>a &lt; b\n</code></pre>'),
    ],
)
def test_markdown_becomes_html_that_the_policy_allows(markdown, html):
    rendered = render(markdown, frozenset({"a.png"}))
    assert html in rendered
    assert "style=" not in rendered


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
