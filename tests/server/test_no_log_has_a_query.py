"""The query of a request, which may be a token from a mail, is in no log, not even in gunicorn's if it is on."""

import time

import pytest
import requests


@pytest.mark.parametrize("options", [(), ("--access-logfile", "-")], ids=str)
def test_no_log_has_the_query_of_a_link(serve, options):
    service = serve(workers=1, command=("-m", "gunicorn", "wsgi:app", *options))
    query = "?action=reset&token=t0kenOfAMail"
    referer = {"Referer": f"{service.url}/app/{query}"}
    for method, path in (("GET", "/nowhere"), ("POST", "/app/"), ("GET", "/app"), ("HEAD", "/app/"), ("GET", "/app/")):
        requests.request(method, f"{service.url}{path}{query}", headers=referer, timeout=10, allow_redirects=False)
    last = '"GET /app/ HTTP/1.1" 200' if options else '"method": "GET", "route": "/app/"'
    give_up = time.monotonic() + 10
    while last not in service.output() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert last in service.output()
    assert "t0kenOfAMail" not in service.output()
