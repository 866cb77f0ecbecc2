"""An app with a profile."""

import pytest

from tests.profile.schemas import ProfileSchema


@pytest.fixture
def settings(settings):
    return {**settings, "PROFILE": ProfileSchema}
