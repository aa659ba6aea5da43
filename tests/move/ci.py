"""A lock that an update in GitHub Actions left, and what GitHub says of its run."""

import json
from datetime import UTC, datetime

from infra.unlocking import Lock

RUN = "/repos/team/infra/actions/runs/4711"
RUNNER = "GitHub Actions 12"
PAGE = "https://github.com/team/infra/actions/runs/4711/attempts/2"
LOCK = Lock("runner", "fv-az1", 77, 1_780_000_000.25, "6f1c")
RECORD = "infra-runs/infra/prod/run.json"


def job(status: str = "completed", runner: str | None = RUNNER, *steps: str) -> dict[str, object]:
    return {"status": status, "runner_name": runner, "steps": [{"status": one} for one in steps or ("completed",) * 2]}


def answers(
    attempt: object = 2, status: str = "completed", conclusion: str | None = "cancelled", jobs: object = None
) -> dict[str, object]:
    own = [job("completed", None), job()] if jobs is None else jobs
    return {
        RUN: {"run_attempt": attempt, "status": status, "conclusion": conclusion},
        f"{RUN}/attempts/2/jobs": {"jobs": own},
    }


def put_lock(folder, lock: Lock = LOCK) -> None:
    path = folder / f".pulumi/locks/organization/infra/prod/{lock.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content(lock)))


def content(lock: Lock) -> dict[str, object]:
    when = datetime.fromtimestamp(lock.at or 0, UTC).isoformat().replace("+00:00", "Z")
    return {"pid": lock.pid, "username": lock.account, "hostname": lock.machine, "timestamp": when}
