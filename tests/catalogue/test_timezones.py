"""infra:timezone: which names there are, and where it goes."""

import json

import pytest

from catalogue import timezones
from catalogue.problems import CatalogueError
from rendering.archive import build
from rendering.host import render
from tests.support import stack, whole

ALLOWED = "the name of a time zone (IANA), such as Asia/Tokyo, or UTC"
WRONG = {
    "a letter": ("Asia/Tokio", f"infra:timezone: found 'Asia/Tokio'; {ALLOWED}; nearest: Asia/Tokyo"),
    "a city": ("Tokyo", f"{ALLOWED}; nearest: Asia/Tokyo"),
    "small letters": ("asia/tokyo", f"{ALLOWED}; nearest: Asia/Tokyo"),
    "a space": ("New York", f"{ALLOWED}; nearest: America/New_York"),
    "an abbreviation": ("JST", f"found 'JST'; {ALLOWED}"),
    "an offset": ("+09:00", f"found '+09:00'; {ALLOWED}"),
    "the machine's own": ("localtime", ALLOWED),
    "a path": ("../../etc/passwd", ALLOWED),
    "nothing": ("", ALLOWED),
    "a number": (9, "infra:timezone"),
}


def released(zone: str | None) -> dict:
    made = whole(lambda values: values.update({"infra:timezone": zone} if zone else {}))
    return json.loads(json.dumps(build(render(made, "watchme")).manifest))


@pytest.mark.parametrize(("name", "line"), WRONG.values(), ids=WRONG)
def test_unknown_time_zone_is_refused_with_the_nearest_name(name, line):
    with pytest.raises(CatalogueError) as error:
        stack(lambda values: values.update({"infra:timezone": name}))
    assert line in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["UTC", "Asia/Tokyo", "America/Argentina/Buenos_Aires", "Japan"])
def test_a_name_of_the_database_is_taken(name):
    assert stack(lambda values: values.update({"infra:timezone": name})).timezone == name


def test_a_machine_without_tzdata_leaves_the_name_to_the_hosts(monkeypatch):
    monkeypatch.setattr(timezones, "names", frozenset)
    assert stack(lambda values: values.update({"infra:timezone": "Asia/Tokyo"})).timezone == "Asia/Tokyo"
    with pytest.raises(CatalogueError, match="the name of a time zone"):
        stack(lambda values: values.update({"infra:timezone": "Tokyo"}))


def test_utc_release_equals_one_without_a_time_zone():
    assert "timezone" not in released(None) and released("UTC") == released(None)
    assert released("Asia/Tokyo") == {**released(None), "timezone": "Asia/Tokyo"}
