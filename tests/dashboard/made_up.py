"""What hosts answer, made up: healthy, in trouble, hostile, silent."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from infra.dashboard.facts import Dashboard, StackFacts
from infra.status import HostStatus

NOW = 1_795_000_000.0
RELEASE = "3f2a9c0d41be" + "0" * 52
HOUR, GiB = 3600, 1024**3
JOB: dict[str, Any] = {
    "job": "j", "release": RELEASE, "began": "2026-11-17T10:00:00Z", "who": "alice@laptop", "kind": "apply",
    "changed": ["/etc/x", "/etc/y"], "outcome": "applied", "code": 0, "line": "applied on web: all",
}  # fmt: skip
BROKEN_JOB = {**JOB, "outcome": "rolled back", "code": 4, "line": "rolled back on web: shop-web answered 500"}
STATUS: dict[str, Any] = {
    "release": RELEASE, "brought": JOB, "unfinished": None, "holder": None, "units": {"shop-web.service": True},
    "services": {"shop-web": 200, "shop-db": 200}, "last_job": JOB, "certificates": [["shop.example.com", 61, ""]],
    "alerts": [], "builds": {"shop-web": {"version": "1.4.2", "commit": "ab" * 20, "created": "2026-11-16T08:30:00Z"}},
}  # fmt: skip
TROUBLED: dict[str, Any] = {
    **STATUS, "services": {"shop-web": 502, "shop-db": 0}, "units": {"shop-db.service": False},
    "alerts": [{"alert": "disk", "subject": "/", "text": "the disk of / is 91.2 % full"}],
    "certificates": [["shop.example.com", 3, ""], ["www.example.com", 0, "expired at 2026-11-01 00:00 UTC"]],
    "unfinished": {"release": "c" * 64}, "drifted": ["/etc/a", "/etc/b"], "resting": ["shop-cron.service"],
    "maintenance": {"shop.example.com": {"since": 1_794_990_000, "until": 1_795_003_600, "who": "bob@desk"}},
    "away": {"reader": "home"}, "follows": {"shop-worker": "main"},
}  # fmt: skip


def hours(count: int = 720, answers: bool = True) -> list[dict[str, Any]]:
    """A month by the hour, with a day in which the monitor did not run."""
    return [
        {
            "at": int(NOW // HOUR - back) * HOUR, "until": NOW, "memory": round(45 + 12 * math.sin(back / 24) + back % 7, 1),
            "disks": {"/": round(20 + (720 - back) / 20, 1), "/srv": 33.3},
            "answers": 400 + int(350 * math.sin(back * 6.28 / 24)) if answers else None, "errors": back % 97 // 90 * 12,
        }
        for back in range(count - 1, -1, -1) if not 200 <= back < 224
    ]  # fmt: skip


def overview(**changes: Any) -> dict[str, Any]:
    return {
        "at": NOW, "hours": hours(), "memory": {"subject": "memory", "size": 8 * GiB, "free": 3 * GiB},
        "disks": [{"subject": "/", "size": 30 * GiB, "free": 13 * GiB}, {"subject": "/srv", "size": 50 * GiB, "free": 33 * GiB}],
        "days": {"shop-web": [1] * 40 + [0, 0] + [1] * 6, "shop-db": [-1] * 47 + [1]}, "jobs": [JOB, BROKEN_JOB],
        "backups": [{"service": "shop-db", "good": {"at": NOW - 7 * HOUR, "bytes": 3 * 1024**2, "snapshot": "a", "seconds": 3},
                     "drill": {"at": NOW - 90 * HOUR}}], **changes,
    }  # fmt: skip


def host(name: str = "web", answer: dict[str, Any] | None = STATUS, **changes: Any) -> HostStatus:
    values = {"overview": overview() if answer else None, "region": "ap-northeast-1", **changes}
    return HostStatus("prod", name, target=RELEASE, answer=answer, **values)  # type: ignore[arg-type]


def silent(name: str = "gone") -> HostStatus:
    return host(name, None, error=f"{name} (ubuntu@192.0.2.9:22) does not answer: timed out")


def troubled(name: str = "web2") -> HostStatus:
    failed = {"at": NOW - 2 * HOUR, "why": "the repository does not answer, since 2026-11-17 01:00 UTC"}
    backups = [
        {"service": "shop-db", "failed": failed},
        {"service": "reader", "drill": {"at": NOW - HOUR, "why": "no tables"}},
    ]
    return host(
        name,
        TROUBLED,
        overview=overview(backups=backups),
        kept_machines=["machine 1 (t4g.small)"],
        under_way="machine 2 is to take over",
    )


def dashboard(hosts: Sequence[HostStatus], language: str = "en", timezone: str = "UTC", **stack: Any) -> Dashboard:
    facts = StackFacts("prod", hosts, {one.host: 69.6 for one in hosts}, **stack)
    return Dashboard(NOW, [facts], language, timezone, date(2026, 10, 5))
