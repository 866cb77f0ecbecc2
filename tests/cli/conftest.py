"""What the tests of the command line share."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

Users = Callable[..., Result]


@pytest.fixture
def users(app: Flask) -> Users:
    """``flask users ...`` on the test's app: ``users("create", "a@example.com", stdin="...")``."""

    def call(*arguments: str, stdin: str | bytes = "") -> Result:
        return app.test_cli_runner().invoke(args=["users", *arguments], input=stdin)

    return call
