import pytest

from tiny import complete_config


@pytest.fixture
def cfg():
    """A config that is ready for finalize_configs."""
    return complete_config()
