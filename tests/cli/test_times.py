"""What the commands show to an operator is in the zone of the operator's machine."""

from datetime import UTC, datetime

import pytest

from infra import backups, blame, locks, logs, main, releases, restore
from infra.errors import InfraError
from infra.preview.formats import markdown
from infra.preview.report import Report, StackReport
from tests.cli.answers import JOB, STATUS
from tests.zones import machine_in

AT = 1795971600  # 2026-11-29 17:00:00 UTC
BACKUP = {"snapshot": "1234567890", "service": "web", "bytes": 0, "seconds": 1, "started": [], "aside": []}
WINDOW = {"until": AT + 3600, "since": AT, "who": "kaya"}
IN_TOKYO = {
    "a line of a log": (lambda: logs.format_line("a", {"at": AT, "from": "web", "line": "x"}, False), "2026-11-30 02:00:00 JST web: x"),
    "maintenance": (lambda: releases.until(WINDOW), "until 2026-11-30 03:00 JST, since 2026-11-30 02:00 JST by kaya"),
    "a snapshot": (lambda: str(restore.Snapshot("snap-1", datetime.fromtimestamp(AT, UTC), 8)), "snap-1 of 2026-11-30 02:00 JST, 8 GiB"),
    "a secret's age": (lambda: blame.Change("Ann", AT).words(AT + 90000), "changed 2026-11-30 (1 day ago) by Ann"),
    "the backups": (lambda: "".join(backups.listing("a", {"services": [{"service": "web", "backups": [{"id": "1", "at": "2026-11-29T17:00:00+00:00"}]}]}, 9)), "1  2026-11-30 02:00 JST"),
    "a restored backup": (lambda: "".join(backups.restore_lines("a", {**BACKUP, "at": "2026-11-29T17:00:00+00:00"})), "backup 12345678 of 2026-11-30 02:00 JST"),
    "a drill": (lambda: backups.drill_line("a", {**BACKUP, "of": "2026-11-29T17:00:00+00:00"}), "backup 12345678 of 2026-11-30 02:00 JST is good"),
    "a lock": (lambda: locks.question("prod", "created by a@b (pid 7) at 2026-11-29T17:00:00Z"), "since 2026-11-30 02:00:00 JST"),
    "a deployment": (lambda: "\n".join(releases.state("prod", "web1", STATUS, None)[0]), "deployed 2026-11-21 19:00 JST by alice@laptop"),
    "a job on the host": (lambda: "\n".join(releases.state("prod", "web1", {**STATUS, "holder": "apply, since 2026-11-29 17:00:05 UTC"}, None)[0]), "running: apply, since 2026-11-30 02:00:05 JST"),
    "a build": (lambda: releases.build({"created": "2026-11-29T17:00:00Z"}), "2026-11-30 02:00 JST"),
}  # fmt: skip


@pytest.mark.parametrize(("show", "line"), IN_TOKYO.values(), ids=IN_TOKYO)
def test_a_time_is_in_the_operators_zone(show, line):
    with machine_in("Asia/Tokyo"):
        assert line in show()


def test_the_history_keeps_the_order_of_utc_over_a_change_of_the_clocks():
    """01:30 comes twice in New York on that day: the table is sorted by what the hosts wrote."""
    jobs = [{**JOB, "began": f"2026-11-01T0{hour}:30:00Z"} for hour in (6, 5)]
    with machine_in("America/New_York"):
        table = releases.history("a", {"current": "", "kept": [], "history": jobs})
    assert [str(cell) for cell in table.columns[1].cells] == ["2026-11-01 01:30:00 EDT", "2026-11-01 01:30:00 EST"]


def test_times_in_errors_are_in_the_operators_zone(monkeypatch, capsys):
    def refuse():
        raise InfraError("another job is running on this host: apply, since 2026-11-29 17:00:05 UTC")

    monkeypatch.setattr(main, "app", refuse)
    with machine_in("Asia/Tokyo"), pytest.raises(SystemExit):
        main.run()
    assert capsys.readouterr().err == (
        "infra: another job is running on this host: apply, since 2026-11-30 02:00:05 JST\n"
    )


def test_comment_uses_the_zone_of_the_stack():
    line = "web1: another job is running on this host: apply, since 2026-11-29 17:00:05 UTC"
    stack = StackReport("prod", hosts_say=[line], timezone="Asia/Tokyo")
    with machine_in("America/New_York"):
        text = markdown.comment(stack, Report("0" * 40, "head", [stack]))
    assert "since 2026-11-30 02:00:05 JST" in text and "UTC" not in text
