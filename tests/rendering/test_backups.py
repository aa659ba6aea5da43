"""Backups as files of a host, and what its agent gets of them."""

import json
import re
from dataclasses import replace

import pytest
import yaml
from pydantic import ValidationError

from catalogue.backup import Backup
from catalogue.checks import check
from components.permissions import policy
from components.release import secrets_for
from rendering.archive import manifest_of
from rendering.backups import ENVIRONMENT
from rendering.files import HostFiles
from rendering.host import needs, render
from tests.catalogue.backups import CONFIG, PASSWORD, with_backups
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import DATA, with_database
from tests.support import catalogue, digests

DUMP = {"dump": "pg_dumpall", "load": "psql"}
TIMER = "/etc/systemd/system/infra-backup-db.timer"


def made(*more) -> HostFiles:
    change = both(with_backups, *more)
    return render(catalogue(change, CONFIG), "watchme", digests(change))


def entry(files: HostFiles, service: str):
    return next(entry for entry in files.backups if entry.service == service)


def test_each_backup_has_a_timer_and_restic():
    files = made()
    texts = {file.path: file.content.decode() for file in files.files}
    assert (
        "OnCalendar=*-*-* 18:00:00 UTC\n" in texts[TIMER]
        and "OnCalendar=daily UTC\n" in texts[TIMER.replace("-db", "-worker")]
    )
    assert "bin scheduled-backup db\n" in texts[TIMER.replace(".timer", ".service")]
    assert {"infra-backup-db.timer", "infra-backup-worker.timer"} <= {unit.name for unit in files.units}
    assert "restic" in needs(catalogue(with_backups, CONFIG), "watchme") and "restic" in files.commands
    assert "restic" not in needs(catalogue(with_database), "watchme")


def test_a_drill_has_a_timer_where_the_catalogue_names_one():
    files = made()
    texts = {file.path: file.content.decode() for file in files.files}
    place = "/etc/systemd/system/infra-drill-worker"
    assert "OnCalendar=weekly UTC\n" in texts[f"{place}.timer"]
    assert "bin scheduled-drill worker\n" in texts[f"{place}.service"]
    assert "infra-drill-worker.timer" in {unit.name for unit in files.units}
    assert not any("infra-drill-db." in path for path in texts)


def test_backup_destination_is_in_a_file_and_the_password_a_reference():
    place = next(file for file in made().environment_files if file.path == ENVIRONMENT)
    bucket = "prod-backups-754724220380-ap-northeast-3"
    assert place.values["RESTIC_REPOSITORY"] == f"s3:https://s3.ap-northeast-3.amazonaws.com/{bucket}/watchme"
    assert place.secrets == {"RESTIC_PASSWORD": "backup/RESTIC_PASSWORD"} and place.mode == 0o600
    assert PASSWORD not in json.dumps(manifest_of(made()), default=str)
    # A machine with a role has no key; one of its owner's has
    assert "AWS_SHARED_CREDENTIALS_FILE" not in place.values


def test_host_without_backups_gets_no_backup_files():
    files = render(catalogue(with_database, CONFIG), "watchme", digests(with_database))
    assert not files.backups and not [file for file in files.environment_files if file.path == ENVIRONMENT]
    assert "backup" in secrets_for(catalogue(with_backups, CONFIG), "watchme", {})
    assert "backup" not in secrets_for(catalogue(with_database, CONFIG), "watchme", {})


def test_database_dump_has_its_command_and_dependents():
    found = entry(made(), "db")
    assert found.dump == ["/bin/sh", "-c", "pg_dumpall -U $POSTGRES_USER"] and found.container == "db"
    assert found.dependents == ["web", "worker"] or set(found.dependents) == {"web", "worker"}
    assert found.paths == ["/var/lib/docker/volumes/web-db/_data"] and found.volumes == ["web-db"]
    assert entry(made(), "worker").paths == ["/srv/web/outbox"] and not entry(made(), "worker").health


def test_a_drill_runs_on_scratch_volumes_without_a_port_or_the_network_of_the_others():
    found = entry(made(), "db")
    whole = yaml.safe_load(found.drill)
    body = whole["services"]["db"]
    assert body["volumes"] == [{"type": "volume", "source": "infra-drill-db-0", "target": DATA}]
    assert body["container_name"] == "infra-drill-db" and not {"ports", "networks", "extra_hosts"} & {*body}
    assert whole["networks"] == {"default": {"internal": True}}
    assert found.scratch == {"/var/lib/docker/volumes/web-db/_data": "infra-drill-db-0"}
    assert found.health == "container://infra-drill-db/health"
    assert "web-db" not in found.drill


def test_host_may_use_only_its_backups_and_not_delete_versions():
    document = policy([], {}, backups="box/watchme")
    allowed = [
        (action, s["Resource"])
        for s in document["Statement"]
        for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    ]
    assert ("s3:DeleteObject", "arn:aws:s3:::box/watchme/*") in allowed
    assert not any("Version" in action or action.endswith("*") for action, _ in allowed)
    assert {resource for action, resource in allowed if "Object" in action} == {"arn:aws:s3:::box/watchme/*"}


SCHEDULES = {
    "hourly": 6, "*-*-* *:00/15": 6, "daily": 30, "*-*-* 18:00:00": 30, "weekly": 192, "Mon..Fri *-*-* 03:30:00": 192,
    "monthly": 768, "Sat,Sun *-*-01 4:00": 768,
}  # fmt: skip
REFUSED = {
    "dump alone": ({"dump": "x"}, "load beside dump: dump writes a backup"),
    "load alone": ({"load": "x"}, "dump beside load: dump writes a backup"),
    "dump and paths": ({**DUMP, "paths": ["/srv/x"]}, "dump and load, or paths"),
    "nothing kept": ({"keep": {"daily": 0, "weekly": 0, "monthly": 0}}, "at least one of"),
    "a time zone": ({"schedule": "*-*-* 18:00:00 Asia/Tokyo"}, "schedule"),
    "two lines": ({"schedule": "daily\nUser=root"}, "schedule"),
    "no age": ({"max_age": 0}, "max_age"),
}


@pytest.mark.parametrize(("given", "line"), REFUSED.values(), ids=REFUSED)
def test_invalid_backup_is_refused(given, line):
    with pytest.raises(ValidationError, match=line):
        Backup.model_validate(given)


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedule_determines_the_maximum_age_of_a_backup(text):
    assert (Backup(schedule=text).schedule, Backup(schedule=text).hours) == (text, SCHEDULES[text])
    assert Backup(schedule=text, max_age=5).hours == 5


@pytest.mark.parametrize(
    "text", ["Xyz *-*-* 03:30:00", "*-*-* 99:30:00", "*-13-40 03:30", "2020-01-01 03:30", "0 3 * * *", "", "03:30 UTC"]
)
def test_invalid_schedule_is_refused(text):
    with pytest.raises(ValidationError, match="in UTC and without a time zone: hourly, daily"):
        Backup(schedule=text)


def test_an_existing_bucket_is_used_and_the_stacks_name_may_be_anything():
    stack = catalogue(with_backups, CONFIG).stack
    assert (
        replace(catalogue(), stack=stack.model_copy(update={"backupBucket": "theirs"})).stack.backup_bucket == "theirs"
    )
    odd = [stack.model_copy(update={"name": f"My_Stack.of-a-very-long-name-{n}"}).backup_bucket for n in "ab"]
    assert all(re.fullmatch("my-stack-of-a-[0-9a-f]{6}-backups-754724220380-ap-northeast-3", name) for name in odd)
    assert odd[0] != odd[1] and max(map(len, odd)) <= 63


def test_a_region_of_the_hosts_is_warned_of():
    config = both(CONFIG, configured(backupRegion="ap-northeast-1"))
    said = [problem for problem in check(catalogue(with_backups, config)) if "backupRegion" in problem.where]
    assert [problem.level for problem in said] == ["warning"] and "a region of its hosts" in said[0].found


def test_nothing_is_needed_where_nothing_is_backed_up():
    assert not [problem for problem in check(catalogue(with_database)) if "backup" in str(problem)]
    assert setting("db", backup=DUMP)
