"""Apps that send mails to a real mail server, and a reader of what it got."""

import pytest


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings}
