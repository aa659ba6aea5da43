"""What a host remembers of its last month, hour by hour, and which disks it has."""

import json
from types import SimpleNamespace

import pytest

from agent.measures import machine
from agent.monitor import trends
from agent.world import Usage
from tests.agent.fake import FakeWorld

HOUR, GiB = 3600, 1024**3
# As a container of Docker's has it: single files of the machine below it, and what is in memory
CONTAINER = """overlay / overlay rw,relatime,lowerdir=/a 0 0
proc /proc proc rw 0 0
tmpfs /dev tmpfs rw,nosuid,size=65536k,mode=755 0 0
tmpfs /dev/shm tmpfs rw 0 0
/dev/vda1 /etc/resolv.conf ext4 rw,relatime 0 0
/dev/vda1 /etc/hostname ext4 rw,relatime 0 0
/dev/vda1 /etc/hosts ext4 rw,relatime 0 0
tmpfs /run tmpfs rw,nosuid 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vda1 /var/lib/docker ext4 rw,relatime 0 0
"""
MACHINE = """sysfs /sys sysfs rw,nosuid 0 0
udev /dev devtmpfs rw,nosuid,size=1957404k 0 0
tmpfs /run tmpfs rw,nosuid,nodev,size=396284k 0 0
/dev/nvme0n1p1 / ext4 rw,relatime 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0
/dev/nvme0n1p15 /boot/efi vfat rw,relatime 0 0
/dev/nvme1n1 /srv xfs rw,relatime 0 0
/dev/loop0 /snap/core/1 squashfs ro 0 0
overlay /var/lib/docker/overlay2/a/merged overlay rw 0 0
"""
DEVICES = {"/": 1, "/dev": 2, "/run": 3, "/tmp": 4, "/boot/efi": 5, "/srv": 6}  # of the rest: that of /dev/vda1


def looking(mounts: str = MACHINE, available: int = 4_000_000, answers=()) -> SimpleNamespace:
    """A host as the monitor looks at it: its disks are half full but /srv, whose last quarter is free."""
    world = FakeWorld()
    world.files["/proc/mounts"] = (mounts.encode(), 0o444, "root", "root")
    for name in ("hostname", "hosts", "resolv.conf"):
        world.files[f"/etc/{name}"] = (b"x", 0o644, "root", "root")
    free = {"/srv": 25}
    world.usage = lambda path: Usage(DEVICES.get(path, 7), 100 * GiB, free.get(path, 50) * GiB, 10, 5)  # type: ignore[method-assign]
    memory = {"MemTotal": 8_000_000, "MemAvailable": available}
    return SimpleNamespace(
        world=world, memory=memory, answers=list(answers), proxy=SimpleNamespace(unit="nginx.service")
    )


@pytest.mark.parametrize(
    ("mounts", "paths"),
    [(MACHINE, ["/", "/boot/efi", "/srv"]), (CONTAINER, ["/", "/var/lib/docker"]), ("", ["/"])],
    ids=["machine", "container", "no list"],
)
def test_only_disks_are_disks(mounts, paths):
    assert [path for path, _ in machine.disks(looking(mounts))] == paths


def test_conditions_watch_what_is_in_memory_too_and_no_file():
    assert [one.subject for one in machine.inodes(looking(CONTAINER), {})] == ["/", "/run", "/tmp", "/var/lib/docker"]


def test_an_hour_has_the_most_that_was_in_use_in_it():
    look = looking(available=4_000_000)
    at = look.world.time = 500_000.0 * HOUR
    trends.remember(look.world, look)
    look.memory["MemAvailable"] = 2_000_000
    look.world.time += 300
    trends.remember(look.world, look)
    look.memory["MemAvailable"] = 6_000_000
    look.world.time += 300
    trends.remember(look.world, look)
    (hour,) = trends.hours(look.world)
    assert (hour["at"], hour["memory"], hour["disks"]) == (at, 75.0, {"/": 50.0, "/boot/efi": 50.0, "/srv": 75.0})


def test_each_answer_is_counted_once_and_in_its_hour():
    look = looking()
    at = look.world.time = 500_000.0 * HOUR + 3400
    look.answers = [(at - 4000, 200), (at - 30, 200), (at - 20, 502)]
    trends.remember(look.world, look)
    look.answers += [(at + 100, 200), (at + 190, 503), (at + 210, 200)]
    look.world.time += 300
    trends.remember(look.world, look)
    trends.remember(look.world, look)
    assert [(hour["answers"], hour["errors"]) for hour in trends.hours(look.world)] == [(4, 2), (1, 0)]


def counted(*runs):
    """Whether each hour is counted in part, after runs of the monitor: seconds after the one before, and what the log
    has then, by seconds before that run."""
    look = looking()
    look.world.time = 500_000.0 * HOUR
    for later, ages in runs:
        look.world.time += later
        look.answers = [(look.world.time - age, 200) for age in ages]
        trends.remember(look.world, look)
    return [hour.get("at_least", False) for hour in trends.hours(look.world)]


@pytest.mark.parametrize(
    ("runs", "partly"),
    [
        ([(600, [10]), (300, [310, 10])], [False]),
        ([(600, [10]), (300, [10])], [True]),  # the log was rotated, or had more lines than are read
        ([(600, [10]), (300, [])], [True]),
        ([(600, []), (300, []), (300, [])], [False]),  # no one asks this host
        ([(600, [10])], [False]),  # what was before the first run is no one's
        ([(600, [10]), (300, [10]), (300, [310, 10])], [True]),  # it stays so
        ([(3500, [10]), (300, [100])], [True, True]),
        ([(3500, [10]), (150, [100])], [True, False]),  # all of the new hour is there
        ([(600, [10]), (3 * HOUR, [2 * HOUR + 1000, 30])], [True, False]),  # the monitor was away
    ],
)
def test_an_hour_whose_log_is_gone_in_part_has_at_least_so_many(runs, partly):
    assert counted(*runs) == partly


def test_a_host_without_a_proxy_counts_no_answers():
    look = looking()
    look.proxy = None
    trends.remember(look.world, look)
    assert trends.hours(look.world)[0]["answers"] is None


def test_a_month_is_kept_and_no_more():
    look = looking()
    for hour in range(33 * 24):
        look.world.time = (500_000.0 + hour) * HOUR
        if hour % 24 == 0 or hour > 31 * 24:
            trends.remember(look.world, look)
    hours = trends.hours(look.world)
    assert hours[-1]["at"] - hours[0]["at"] < 31 * 24 * HOUR and len(hours) <= trends.HOURS_KEPT
    assert len(look.world.files[trends.PLACE][0]) < 100 * trends.HOURS_KEPT + 10_000


def test_a_clock_that_is_set_back_loses_nothing_but_what_is_ahead():
    look = looking()
    look.world.time = 500_010.0 * HOUR
    trends.remember(look.world, look)
    look.world.time = 500_002.0 * HOUR
    trends.remember(look.world, look)
    assert [hour["at"] for hour in trends.hours(look.world)] == [500_002 * HOUR]


WHOLE = {"at": 1, "until": 2.0, "memory": 3, "disks": {"/": 4.5}, "answers": 5, "errors": None}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"at": "x"},
        {"at": 1.5},
        {"until": None},
        {"memory": 1e300},
        {"memory": True},
        {"disks": []},
        {"disks": {"/": -1}},
        {"answers": 2**60},
        {"answers": "1"},
        {"at_least": 1},
    ],
)
def test_an_entry_of_another_form_is_passed_over(spoilt):
    world = FakeWorld()
    entries = [WHOLE, {**WHOLE, **spoilt}, 7]
    world.files[trends.PLACE] = (json.dumps(entries).encode(), 0o600, "root", "root")
    assert trends.hours(world) == [WHOLE]


def test_a_torn_file_is_no_month():
    world = FakeWorld()
    world.files[trends.PLACE] = (b'[{"at": 1', 0o600, "root", "root")
    assert trends.hours(world) == []
