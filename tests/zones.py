"""The zone of this machine, and a machine that knows no zones, for a test."""

import os
import time
import zoneinfo
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def machine_in(zone: str) -> Generator[None]:
    before = os.environ["TZ"]
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ["TZ"] = before
        time.tzset()


@contextmanager
def no_tzdata() -> Generator[None]:
    """As on a minimal system: `zoneinfo` knows not one name."""
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        yield
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
