"""What the integration tests share."""

import pytest


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder for the small corpus, which the first run makes."""
    return tmp_path_factory.mktemp("data")
