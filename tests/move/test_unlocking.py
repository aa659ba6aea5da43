"""What `infra unlock` finds where Pulumi keeps its state, and what of it is removed."""

import io
import json
import os
import socket
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from infra import aws, locks, state_files, unlocking
from infra.errors import InfraError
from tests.support import ROOT, execute, started

HERE = socket.gethostname()


def lock(pid: int, machine: str = HERE, ago: float = 3 * 3600) -> dict[str, object]:
    when = datetime.fromtimestamp(time.time() - ago, UTC).isoformat().replace("+00:00", "Z")
    return {"pid": pid, "username": "root", "hostname": machine, "timestamp": when}


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Where a stack's locks lie, and what Pulumi was asked to do."""
    asked: list[str] = []
    monkeypatch.setattr(state_files, "pulumi", lambda *_: json.dumps({"url": f"file://{tmp_path}"}))
    monkeypatch.setattr(locks, "remove", lambda stack: asked.append(stack) is None)
    folder = tmp_path / ".pulumi/locks/organization/infra/prod"
    folder.mkdir(parents=True)
    return folder, asked


def put(folder, *entries) -> None:
    for number, entry in enumerate(entries):
        (folder / f"{number}.json").write_text(entry if isinstance(entry, str) else json.dumps(entry))


def test_a_stack_that_is_not_locked(state):
    assert unlocking.unlock("prod") == "stack prod is not locked" and state[1] == []


def test_the_lock_of_an_update_that_ended_here_is_removed(state, ended, monkeypatch):
    monkeypatch.setattr(locks, "read_engine", lambda _: ended)
    put(state[0], lock(ended.pid))
    said = unlocking.unlock("prod")
    assert said.startswith(
        f"stack prod was locked by root@{HERE}, process {ended.pid}, since 3 h, which has ended: the"
    )
    assert state[1] == ["prod"]


@pytest.mark.parametrize(
    "case", ["runs", "not remembered", "another machine", "a second one", "cannot be read", "no process"]
)
def test_lock_of_a_running_or_unknown_engine_stays(state, ended, monkeypatch, case):
    folder, asked = state
    monkeypatch.setattr(locks, "read_engine", lambda _: None if case == "not remembered" else ended)
    if case == "runs":
        monkeypatch.setattr(locks, "read_engine", lambda _: locks.identify(os.getpid()))
    found = {
        "runs": [lock(os.getpid())], "another machine": [lock(ended.pid, "ci-runner")],
        "a second one": [lock(ended.pid), lock(77, "laptop")], "cannot be read": [lock(ended.pid), "{"],
        "no process": [{**lock(ended.pid), "pid": "x"}],
    }  # fmt: skip
    put(folder, *found.get(case, [lock(ended.pid)]))
    with pytest.raises(InfraError, match="pulumi cancel"):
        unlocking.unlock("prod")
    assert asked == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe{", b"x" * 5 * 1024**2], ids=["a pipe", "no text", "too large"])
def test_unreadable_lock_file_counts_as_held(state, content):
    place = state[0] / "0.json"
    os.mkfifo(place) if content is None else place.write_bytes(content)
    with pytest.raises(InfraError, match="a lock of the stack cannot be read, and may be held"):
        unlocking.unlock("prod")
    assert state[1] == []


@contextmanager
def engine(folder):
    """A process that is called as Pulumi is, once it is."""
    program = folder / "pulumi"
    program.symlink_to("/bin/sleep")
    with started(str(program), "60") as process:
        until = time.monotonic() + 10
        while locks.engine_above(process.pid) != process.pid and time.monotonic() < until:
            time.sleep(0.05)
        yield process


def test_running_engine_keeps_its_lock(state, tmp_path):
    """By the name of its process: a script that is called as Pulumi is."""
    with engine(tmp_path) as process:
        put(state[0], lock(process.pid))
        with pytest.raises(
            InfraError, match=rf"process {process.pid}, since 3 h, which is running on this machine: wait"
        ):
            unlocking.unlock("prod")
        child = [sys.executable, "-c", f"from infra import locks; print(locks.engine_above({os.getpid()}))"]
        assert execute(*child, cwd=ROOT).stdout.strip() == "None"
    assert state[1] == []


def test_killed_engine_counts_as_ended_before_it_is_reaped(tmp_path):
    with engine(tmp_path) as process:
        process.kill()
        until = time.monotonic() + 10
        # Its entry stays until it is waited for
        while locks.engine_above(process.pid) is not None and time.monotonic() < until:
            time.sleep(0.05)
        assert locks.engine_above(process.pid) is None and os.path.exists(f"/proc/{process.pid}")


def test_the_places_of_earlier_versions_are_looked_into(state, tmp_path):
    old = tmp_path / ".pulumi/locks/prod"
    old.mkdir(parents=True)
    put(old, lock(7, "elsewhere", 50 * 3600))
    assert "is locked by root@elsewhere, process 7, since 2 days" in unlocking.explain("prod")


class Bucket:
    def __init__(self, objects, error=None):
        self.objects, self.error = objects, error

    def list_objects_v2(self, **asked):
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "ListObjectsV2")
        return {"Contents": [{"Key": key} for key in self.objects if key.startswith(asked["Prefix"])]}

    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO(self.objects[Key].encode())}


def test_a_bucket_is_looked_into(monkeypatch):
    key = "team/.pulumi/locks/organization/infra/prod/a.json"
    bucket = Bucket({key: json.dumps(lock(7, "laptop")), "team/.pulumi/locks/organization/infra/dev/b.json": "{"})
    monkeypatch.setattr(state_files, "pulumi", lambda *_: '{"url": "s3://states/team?region=ap-northeast-1"}')
    monkeypatch.setattr(aws, "client", lambda *_: bucket)
    assert "is locked by root@laptop, process 7" in unlocking.explain("prod")
    bucket.error = "AccessDenied"
    with pytest.raises(
        InfraError, match=r"the locks in s3://states/team/.pulumi/locks/organization/infra/prod/ cannot be"
    ):
        unlocking.explain("prod")


def test_unsupported_backend_is_reported(monkeypatch):
    monkeypatch.setattr(state_files, "pulumi", lambda *_: '{"url": "https://api.pulumi.com"}')
    with pytest.raises(
        InfraError, match=r"kept at https://api.pulumi.com, where infra cannot read locks: run pulumi cancel"
    ):
        unlocking.explain("prod")
