"""What several tests of moves and locks begin with."""

import pytest

from infra import locks
from tests.support import started


@pytest.fixture
def ended() -> locks.Engine:
    """An engine that was started here, and has ended."""
    with started("sleep", "60") as process:
        engine = locks.identify(process.pid)
        process.kill()
        process.wait()
    return engine
