"""Cron jobs of a host as timers, and the scripts on it that would fight a release."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from catalogue.masking import MARK, mask_secrets
from infra.adopt.host import command, cron, crontabs, rivals, understanding
from infra.adopt.host.remarks import Remark
from tests.adopt.compose_hosts import BODY, UNIT, host
from tests.support import stack

TIMES = {
    "*/15 * * * *": ["*-*-* *:00,15,30,45:00"], "30 4 * * *": ["*-*-* 04:30:00"], "0 9-11 * * 1-5": ["Mon,Tue,Wed,Thu,Fri *-*-* 09,10,11:00:00"],
    "5 0 1 jan,7 *": ["*-01,07-01 00:05:00"], "0 0 1,15 * 7": ["*-*-01,15 00:00:00", "Sun *-*-* 00:00:00"],
    "@daily": ["*-*-* 00:00:00"], "@weekly": ["Sun *-*-* 00:00:00"], "10/20 * * * *": ["*-*-* *:10,30,50:00"],
    "@reboot": [], "61 * * * *": [], "x * * * *": [], "* * * *": [], "0 0 * * 5-1": [],
}  # fmt: skip


@pytest.mark.parametrize(("when", "expected"), TIMES.items(), ids=TIMES)
def test_times_of_cron_are_written_as_systemd_has_them(when, expected):
    assert cron.calendar_of(when) == expected


def test_time_zone_of_a_crontab_is_kept():
    assert cron.calendar_of("0 3 * * *", "Asia/Tokyo") == ["*-*-* 03:00:00 Asia/Tokyo"]


CRONTAB = """\
# m h dom mon dow command
MAILTO=me@example.com
PATH=/usr/local/bin:/usr/bin:/bin
30 4 * * * cd /srv/shop && ./report.sh --day "$(date +\\%F)" >> /var/log/report.log
*/5 * * * * docker-compose -f /srv/shop/docker-compose.yml up -d
@reboot /srv/shop/start.sh
0 1 * * * curl -u me:__masked__ https://example.com/
"""


def derived(tables: dict[str, str], units: Sequence[dict[str, Any]] = (UNIT,)):
    accounts = [
        {"name": "me", "uid": 1000, "home": "/home/me", "group": "me", "login": True, "lingering": False, "groups": []}
    ]
    facts = host(BODY) | {"crontabs": tables, "accounts": accounts, "units": [*units]}
    return understanding.derive_system(facts, {}, stack(), "shop")


def test_job_of_a_crontab_becomes_a_timer_and_an_open_question():
    """Nothing of a crontab is lost: what is no timer is a line that infra check refuses."""
    found = derived({"/var/spool/cron/crontabs/me": CRONTAB, "/etc/cron.daily/backup": "#!/bin/sh\n"})
    timer = next(service for service in found.system.native_services if service.kind == "timer")
    assert timer.name == "cron-report" and timer.directives["Timer"] == {"OnCalendar": "*-*-* 04:30:00"}
    assert timer.job["Service"] == {
        "ExecStart": '/bin/sh -c "cd /srv/shop && ./report.sh --day \\"$$(date +%%F)\\" >> /var/log/report.log"',
        "WorkingDirectory": "/home/me", "User": "me",
    }  # fmt: skip
    assert timer.environment == {"HOME": "/home/me", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    assert timer.unresolved == [
        "cron runs it now (/var/spool/cron/crontabs/me:4): take that line out when this is released, or both run"
    ]
    said = found.system.unresolved
    assert [line.split(": ")[0].rsplit("/", 1)[-1] for line in said] == ["me:5", "me:6", "me:7", "backup"]
    assert "recreates or stops containers, and would fight a release" in said[0]
    assert (
        Remark("does not fit", "cron-report", "its output goes by mail (MAILTO): the journal has it from then on")
        in found.remarks
    )


def test_line_of_cron_d_names_its_account():
    found = derived({"/etc/cron.d/shop": "0 2 * * * root /srv/shop/clean --all\n0 3 * * * root\n"})
    timer = next(service for service in found.system.native_services if service.kind == "timer")
    assert timer.name == "cron-clean" and timer.job["Service"]["ExecStart"] == '/bin/sh -c "/srv/shop/clean --all"'
    assert "cannot be read as a timer" in found.system.unresolved[0]


SHELLS = ["+/bin/sh", "!/bin/sh", "|/bin/sh", "/bin/sh %h", "/bin/sh -x", "@/bin/sh", "sh", '/bin/"sh', ""]


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_of_a_crontab_is_no_more_than_a_path(shell):
    """With + in front of it systemd would run the job as root."""
    found = derived({"/var/spool/cron/crontabs/me": f"SHELL={shell}\n0 1 * * * /srv/shop/clean.sh\n"})
    assert not [service for service in found.system.native_services if service.kind == "timer"]
    assert "which is no path of a program" in found.system.unresolved[0]


def test_shell_of_a_crontab_runs_its_jobs():
    found = derived({"/var/spool/cron/crontabs/me": "SHELL=/bin/bash\n0 1 * * * /srv/shop/clean.sh\n"})
    (timer,) = [service for service in found.system.native_services if service.kind == "timer"]
    assert timer.job["Service"]["ExecStart"] == '/bin/bash -c "/srv/shop/clean.sh"'


def test_jobs_of_one_script_have_names_and_units_of_their_own():
    """Nor does a job take the name of a unit that is there."""
    unit = UNIT | {
        "path": "/etc/systemd/system/cron-clean-2.service", "name": "cron-clean-2.service", "compose": [],
        "text": "[Service]\nExecStart=/usr/local/bin/clean\n",
    }  # fmt: skip
    table = "0 1 * * * /srv/shop/clean.sh\n0 2 * * * /srv/blog/clean.sh\n0 3 * * * /srv/wiki/clean.sh --all\n"
    found = derived({"/var/spool/cron/crontabs/me": table}, [UNIT, unit])
    timers = [service for service in found.system.native_services if service.kind == "timer"]
    assert [(timer.name, timer.unit) for timer in timers] == [
        ("cron-clean", "cron-clean.timer"), ("cron-clean-3", "cron-clean-3.timer"),
        ("cron-clean-4", "cron-clean-4.timer"),
    ]  # fmt: skip
    assert [timer.unresolved[0].split(")")[0].rsplit(":", 1)[1] for timer in timers] == ["1", "2", "3"]


def test_masked_variable_of_a_crontab_is_a_secret():
    """What stands for it is no value of the job's."""
    table = f"API_KEY={MARK}\nMODE=prod\n0 1 * * * /srv/shop/clean.sh\n"
    found = derived({"/var/spool/cron/crontabs/me": table})
    (timer,) = [service for service in found.system.native_services if service.kind == "timer"]
    assert timer.environment == {"HOME": "/home/me", "MODE": "prod"}
    assert timer.secrets == ["API_KEY"] and timer.environment_file == "/etc/cron-clean.env"
    assert Remark("secret", "cron-clean", "API_KEY") in found.remarks


LONG_LINES = {"docker-compose": "docker-compose " * 60_000, "cp": "cp " * 300_000, "one word": "x" * 900_000}


@pytest.mark.parametrize("line", LONG_LINES.values(), ids=LONG_LINES)
def test_a_long_line_is_read_in_no_time(line):
    """A host in use looks through its scripts as root."""
    begin = time.monotonic()
    assert rivals.reason(line) == ""
    table = {"/etc/cron.d/x": f"0 1 * * * root {line}\n"}
    assert "is too long to be read as a timer" in derived(table).system.unresolved[0]
    assert time.monotonic() - begin < 2


def test_search_ends_within_a_file(tmp_path, monkeypatch):
    (tmp_path / "a.sh").write_text("docker stop shop\n" * 100)
    monkeypatch.setattr(rivals, "SCRIPTS", ())
    clock = iter(range(10_000))
    monkeypatch.setattr(rivals.time, "monotonic", lambda: next(clock))
    hits, bound = rivals.search([str(tmp_path)], [], read_path, mask_secrets)
    assert 0 < len(hits) < 20 and bound == "10 s"
    hits, bound = rivals.search_texts({"/etc/cron.d/x": "docker stop shop\n" * 100}, mask_secrets)
    assert 0 < len(hits) < 20 and bound == "10 s"


def read_path(path: str) -> str | None:
    return Path(path).read_text()


def test_scripts_beside_compose_projects_that_would_fight_a_release_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(rivals, "SCRIPTS", ())
    own, other = tmp_path / "srv/shop", tmp_path / "srv/blog"
    for folder in (own, own / "node_modules", other / ".github/workflows", other / ".git/hooks"):
        folder.mkdir(parents=True)
    (own / "deploy.sh").write_text("#!/bin/sh\n# docker stop shop\nAPI_KEY=hunter2 docker stop shop\n")
    (own / "node_modules/x.sh").write_text("docker stop shop\n")
    (own / "notes.txt").write_text("docker stop shop\n")
    (own / "link.sh").symlink_to(own / "notes.txt")
    (other / ".github/workflows/cd.yml").write_text(
        "- run: |\n    scp docker-compose.yml host:/srv/shop/\n    docker-compose up -d\n"
    )
    (other / ".git/hooks/post-merge").write_text("systemctl restart blog\n")
    (other / ".git/hooks/pre-push.sample").write_text("systemctl restart blog\n")
    hits, bound = rivals.search([str(own)], [], read_path, mask_secrets)
    found = {(Path(hit["path"]).name, hit["line"]): hit["why"] for hit in hits}
    assert found == {
        ("deploy.sh", 3): "starts, stops or displaces containers", ("cd.yml", 2): "writes files that a release writes",
        ("cd.yml", 3): "recreates or stops containers", ("post-merge", 1): "starts or stops units",
    }  # fmt: skip
    assert bound == "" and not any("hunter2" in hit["text"] for hit in hits)


@pytest.mark.parametrize(
    ("name", "value", "said"), [("FILES", 1, "1 files"), ("LINES", 1, "1 lines"), ("SECONDS", -1.0, "-1 s")]
)
def test_search_for_scripts_ends_at_its_bounds(tmp_path, monkeypatch, name, value, said):
    for number in range(4):
        (tmp_path / f"{number}.sh").write_text("docker stop shop\n")
    monkeypatch.setattr(rivals, "SCRIPTS", ())
    monkeypatch.setattr(rivals, name, value)
    hits, bound = rivals.search([str(tmp_path)], [], read_path, mask_secrets)
    assert bound == said and len(hits) <= 1
    lines = list(command._rival_lines(host(BODY) | {"rivals": hits, "search_ended": bound}))
    assert lines[-1] == f"the search ended at its bound of {said}: look through the other scripts yourself"


def test_crontabs_of_packages_are_left_out(tmp_path, monkeypatch):
    for name, text in {"certbot": "x", "shop": "PASSWORD=hunter2\n", ".placeholder": "x"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "a.conffiles").write_text(f"{tmp_path}/certbot\n")
    monkeypatch.setattr(crontabs, "FILES", (f"{tmp_path}/*",))
    monkeypatch.setattr(crontabs, "SCRIPTS", f"{tmp_path}/none")
    monkeypatch.setattr(crontabs, "PACKAGES", f"{tmp_path}/*.conffiles")
    monkeypatch.setattr(crontabs, "DIRECTORY", str(tmp_path))
    tables = crontabs.read_all(read_path, mask_secrets)
    assert f"{tmp_path}/certbot" not in tables and "hunter2" not in tables[f"{tmp_path}/shop"]
