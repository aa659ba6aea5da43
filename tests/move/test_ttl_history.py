"""Since when a TTL is as short as it is: a stack's updates in, the newest first."""

from datetime import UTC, datetime

import pytest

from infra.move.ttl_history import LoweredTtl, find_lowering

DEFAULT = 60


def update(minute: int, ttl: int | None, result: str = "succeeded", kind: str = "update"):
    config = {} if ttl is None else {"infra:recordTtl": {"value": str(ttl), "secret": False}}
    return {"kind": kind, "result": result, "endTime": f"2026-11-22T00:{minute:02}:00.000Z", "config": config}


def at(minute: int) -> datetime:
    return datetime(2026, 11, 22, 0, minute, tzinfo=UTC)


CASES = {
    "always as it is": ([update(9, 60), update(8, None)], None),
    "never made": ([], None),
    "lowered, and updated since": ([update(9, 60), update(8, 60), update(7, 3600)], LoweredTtl(3600, at(8))),
    "lowered to the default": ([update(9, None), update(8, 300)], LoweredTtl(300, at(9))),
    "raised": ([update(9, 300), update(8, 60)], None),
    "a failed update ends nothing": (
        [update(9, 60), update(8, 60, "failed"), update(7, 600)],
        LoweredTtl(600, at(9)),
    ),
    "a failed one may have begun it": (
        [update(9, 60), update(8, 600, "failed"), update(7, 60)],
        LoweredTtl(600, at(9)),
    ),
    "not lowered yet": ([update(9, 60, "failed"), update(8, 600)], None),
    "refreshes do not count": ([update(9, 60, kind="refresh"), update(8, 60), update(7, 90)], LoweredTtl(90, at(8))),
    "made by hand": ([update(9, 60), update(8, 60), update(7, 60, kind="resource-import")], LoweredTtl(None, at(8))),
}


@pytest.mark.parametrize(("updates", "found"), CASES.values(), ids=CASES)
def test_lowering_of_the_ttl_is_found_in_the_history(updates, found):
    assert find_lowering(updates, DEFAULT) == found


def test_expiry_of_the_earlier_ttl_is_computed():
    assert LoweredTtl(600, at(9)).over == at(19)
