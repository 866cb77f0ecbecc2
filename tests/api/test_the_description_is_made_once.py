"""/openapi.json is made when it is first asked for, and whole for everybody who asks at that moment."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from flask import Flask


def test_all_who_ask_first_get_the_whole_description(app: Flask):
    others = 8
    start = threading.Barrier(others)

    def ask(_: int) -> bytes:
        start.wait()
        return app.test_client().get("/openapi.json").data

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # else one thread may make it before the next one runs
    try:
        with ThreadPoolExecutor(others) as pool:
            answers = {*pool.map(ask, range(others))}
    finally:
        sys.setswitchinterval(interval)
    assert answers == {app.test_client().get("/openapi.json").data}


def test_flask_prints_it_too(app: Flask):
    printed = app.test_cli_runner().invoke(args=["openapi", "print"])
    assert printed.exit_code == 0, printed.output
    assert '"/users/test"' in printed.output
