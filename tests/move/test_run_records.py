"""Which run of GitHub Actions an update belongs to, recorded beside its lock."""

import io
import json
import socket
import sys

import pytest
from botocore.exceptions import ClientError

from infra import aws, ci_runs, locks, state_files, unlocking
from infra.ci_runs import Record, Run
from infra.errors import InfraError
from infra.state_files import StateBucket
from infra.unlocking import Lock
from tests.github import TOKEN
from tests.move.ci import LOCK, PAGE, RECORD, RUNNER, content
from tests.move.programs import pulumi_that
from tests.support import execute

# The run of an update, up to its program: Pulumi takes the lock, and then starts it
UPDATE = (
    'cat > "$LOCKS/6f1c.json" <<END\n'
    '{{"pid": $$, "username": "runner", "hostname": "{machine}", "timestamp": "2026-11-29T10:00:00Z"}}\n'
    "END\n"
    '"{python}" -m infra.locks prod; echo "code $?"'
)


def update(folder, url: str, **environment: str) -> str:
    """Runs one whose state is in this directory, by a shell that is called as Pulumi is."""
    programs, engine = folder / "bin", folder / "engine"
    lock_folder = folder / ".pulumi/locks/organization/infra/prod"
    for path in (programs, engine, lock_folder):
        path.mkdir(parents=True)
    (engine / "pulumi").symlink_to("/bin/sh")
    env = pulumi_that(programs, f"""echo '{{"url": "{url}"}}'""") | {
        "LOCKS": str(lock_folder), "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_API_URL": "https://api.github.com", "GITHUB_REPOSITORY": "team/infra", "GITHUB_RUN_ID": "4711",
        "GITHUB_RUN_ATTEMPT": "2", "RUNNER_NAME": RUNNER, "GITHUB_TOKEN": TOKEN, **environment,
    }  # fmt: skip
    script = UPDATE.format(machine=socket.gethostname(), python=sys.executable)
    return execute(str(engine / "pulumi"), "-c", script, cwd=programs, env=env).stdout


def test_update_in_actions_records_its_run_beside_its_lock(tmp_path, monkeypatch, github):
    assert update(tmp_path, f"file://{tmp_path}", GITHUB_API_URL=github.url) == "code 0\n"
    text = (tmp_path / ".pulumi" / RECORD).read_text()
    assert json.loads(text)["run"] == {
        "server": "https://github.com", "api": github.url, "repository": "team/infra", "number": 4711, "attempt": 2,
        "runner": RUNNER,
    }  # fmt: skip
    assert TOKEN not in text and len(list((tmp_path / ".pulumi/infra-runs").rglob("*.json"))) == 1
    monkeypatch.setattr(state_files, "pulumi", lambda *_: json.dumps({"url": f"file://{tmp_path}"}))
    monkeypatch.setattr(locks, "remove", lambda stack: True)
    monkeypatch.setattr(locks, "read_engine", lambda _: None)
    assert f"of CI run {PAGE}, which has ended" in unlocking.unlock("prod")


@pytest.mark.parametrize(
    "environment",
    [{"GITHUB_ACTIONS": ""}, {"GITHUB_RUN_ID": "x"}, {"GITHUB_REPOSITORY": ""}],
    ids=["no CI", "no number", "no repository"],
)
def test_nothing_is_recorded_without_a_run(tmp_path, environment):
    assert update(tmp_path, f"file://{tmp_path}", **environment) == "code 0\n"
    assert not (tmp_path / ".pulumi/infra-runs").exists()


@pytest.mark.parametrize("url", ["https://api.pulumi.com", "file:///proc/nowhere", '", nothing'])
def test_update_goes_on_where_its_run_cannot_be_recorded(tmp_path, url):
    assert update(tmp_path, url) == "code 0\n"


def test_update_goes_on_where_the_record_cannot_be_written(tmp_path):
    place = tmp_path / ".pulumi/infra-runs"
    place.parent.mkdir()
    place.write_text("a file is in the way")
    assert update(tmp_path, f"file://{tmp_path}") == "code 0\n" and place.is_file()


class Bucket:
    """As boto3's client of S3, as far as it is used; `error` is what it answers instead."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.error = ""

    def refuse(self, operation: str) -> None:
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, operation)

    def list_objects_v2(self, Bucket, Prefix, MaxKeys):
        return {"Contents": [{"Key": key} for key in self.objects if key.startswith(Prefix)]}

    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket, Key, Body, ContentType):
        self.refuse("PutObject")
        self.objects[Key] = Body

    def delete_object(self, Bucket, Key):
        self.refuse("DeleteObject")
        self.objects.pop(Key, None)


@pytest.fixture
def bucket(monkeypatch):
    client = Bucket()
    monkeypatch.setattr(aws, "client", lambda *_: client)
    monkeypatch.setattr(state_files, "pulumi", lambda *_: '{"url": "s3://states/team?region=ap-northeast-1"}')
    monkeypatch.setattr(locks, "remove", lambda stack: True)
    monkeypatch.setattr(locks, "read_engine", lambda _: None)
    return client


def in_actions(monkeypatch, api: str) -> None:
    values = {
        "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": api,
        "GITHUB_REPOSITORY": "team/infra", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "2", "RUNNER_NAME": RUNNER,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_bucket_has_one_record_of_a_stack(bucket, monkeypatch, github):
    in_actions(monkeypatch, github.url)
    key = "team/.pulumi/infra-runs/infra/prod/run.json"
    for id in ("6f1c", "77aa"):
        mine = Lock("runner", socket.gethostname(), 4_000_000, LOCK.at, id)
        lock_key = f"team/.pulumi/locks/organization/infra/prod/{id}.json"
        bucket.objects = {name: text for name, text in bucket.objects.items() if name == key}
        bucket.objects[lock_key] = json.dumps(content(mine)).encode()
        unlocking.record_run("prod", mine.pid)
        assert sorted(bucket.objects) == sorted([key, lock_key]) and json.loads(bucket.objects[key])["lock"]["id"] == id
    assert f"of CI run {PAGE}, which has ended: the lock was removed" in unlocking.unlock("prod")
    assert key not in bucket.objects


def test_bucket_that_refuses_stops_nothing(bucket, monkeypatch, github):
    in_actions(monkeypatch, github.url)
    mine = Lock("runner", socket.gethostname(), 4_000_000, LOCK.at, "6f1c")
    bucket.objects["team/.pulumi/locks/organization/infra/prod/6f1c.json"] = json.dumps(content(mine)).encode()
    bucket.error = "AccessDenied"
    unlocking.record_run("prod", mine.pid)
    assert len(bucket.objects) == 1
    with pytest.raises(
        InfraError, match=r"s3://states/team/\.pulumi/infra-runs/infra/prod/run\.json cannot be written"
    ):
        ci_runs.keep(StateBucket("states", "team"), "prod", Record({}, Run("", "", "", 1, 1, "")))
