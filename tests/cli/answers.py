"""What a host answers."""

JOB = {
    "release": "a" * 64, "began": "2026-11-21T10:00:00Z", "who": "alice@laptop", "kind": "apply", "changed": ["/etc/x"],
    "outcome": "applied", "code": 0, "line": "applied on web1: all",
}  # fmt: skip
STATUS = {
    "release": "a" * 64, "brought": JOB, "unfinished": None, "holder": None, "units": {"web.service": True},
    "services": {"web": 200}, "last_job": JOB, "certificates": [], "alerts": [],
}  # fmt: skip
