"""Which run of GitHub Actions an update belongs to: recorded beside the stack's locks, where another machine reads it,
and asked for at GitHub, which knows whether it has ended."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from catalogue.stack import PROJECT
from infra import github_api
from infra.errors import InfraError
from infra.foreign import one_line
from infra.github_secrets import REPOSITORY
from infra.state_files import State

# One record for each stack: an update takes the place of the one before
PLACE = "infra-runs/{project}/{stack}/"
NAME = "run.json"
URL = re.compile(r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?")
API = "https://api.github.com"
COMPLETED = "completed"
HINTS = {
    401: "is the token in GH_TOKEN or GITHUB_TOKEN still good?",
    403: "the token needs actions: read",
    404: "no such run, or it needs a token in GH_TOKEN with actions: read",
}


@dataclass(frozen=True)
class Run:
    """An attempt of a run, at a `server` such as https://github.com with its `api`, and the `runner` of its job."""

    server: str
    api: str
    repository: str
    number: int
    attempt: int
    runner: str

    @property
    def url(self) -> str:
        return f"{self.server}/{self.repository}/actions/runs/{self.number}/attempts/{self.attempt}"

    def __str__(self) -> str:
        return f"CI run {self.url}"


@dataclass(frozen=True)
class Record:
    """The `lock` of an update, as it was read while the update held it, and its run."""

    lock: Mapping[str, Any]
    run: Run


@dataclass(frozen=True)
class Standing:
    """Has the run certainly ended, and its runner stopped what it had started; what GitHub says of it."""

    has_ended: bool
    text: str


def current() -> Run | None:
    """The run that this process belongs to.
    https://docs.github.com/en/actions/reference/workflows-and-actions/variables"""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return None
    return _run({
        "server": os.environ.get("GITHUB_SERVER_URL"), "api": os.environ.get("GITHUB_API_URL"),
        "repository": os.environ.get("GITHUB_REPOSITORY"), "number": os.environ.get("GITHUB_RUN_ID"),
        "attempt": os.environ.get("GITHUB_RUN_ATTEMPT"), "runner": os.environ.get("RUNNER_NAME", ""),
    })  # fmt: skip


def _run(entry: Mapping[str, Any]) -> Run | None:
    """None for what is none: nothing of it goes into an address, or to a terminal, unseen."""
    try:
        server, api, repository = str(entry["server"]), str(entry["api"]), str(entry["repository"])
        if not (URL.fullmatch(server) and URL.fullmatch(api) and REPOSITORY.fullmatch(repository)):
            return None
        runner = one_line(str(entry["runner"]))
        return Run(server.rstrip("/"), api.rstrip("/"), repository, int(entry["number"]), int(entry["attempt"]), runner)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _place(stack: str) -> str:
    return PLACE.format(project=PROJECT, stack=stack)


def keep(state: State, stack: str, record: Record) -> None:
    """Raises InfraError."""
    state.put(_place(stack) + NAME, json.dumps(asdict(record)))


def forget(state: State, stack: str) -> None:
    """What cannot be removed is replaced by the next update."""
    with contextlib.suppress(InfraError):
        state.remove(_place(stack) + NAME)


def read_record(state: State, stack: str) -> Record | None:
    """None where there is none, or none that can be read."""
    try:
        for _, text in state.texts(_place(stack)):
            entry = json.loads(text)
            if run := _run(entry["run"]):
                return Record(dict(entry["lock"]), run)
    except (InfraError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return None


def standing(run: Run) -> Standing:
    """Asks GitHub, at the address that this machine knows: no record says where a token goes."""
    api = (os.environ.get("GITHUB_API_URL") or API).rstrip("/")
    if run.api != api:
        return Standing(False, f"its GitHub ({run.api}) was not asked, since GITHUB_API_URL here is {api}")
    github = github_api.Api(api, os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN") or "", HINTS)
    path = f"/repos/{run.repository}/actions/runs/{run.number}"
    try:
        answer = github_api.ask(github, path)
        attempt, status = int(answer["run_attempt"]), one_line(str(answer["status"]))
        # A run is started again only once its last attempt is over
        if attempt < run.attempt or (attempt == run.attempt and status != COMPLETED):
            return Standing(False, f"GitHub says that attempt {attempt} of the run is {status}")
        if not _has_reported(_jobs(github, f"{path}/attempts/{run.attempt}/jobs?per_page=100"), run.runner):
            return Standing(
                False,
                f"the run has ended, but its runner {run.runner or '(without a name)'} has not reported the end of its "
                "job, and the update may still be running there",
            )
    except InfraError as error:
        return Standing(False, f"GitHub did not say whether the run has ended ({one_line(str(error))[:300]})")
    except (LookupError, TypeError, ValueError, AttributeError):
        return Standing(False, "GitHub's answer about the run cannot be read")
    how = one_line(str(answer.get("conclusion"))) if attempt == run.attempt else f"attempt {attempt} has followed"
    return Standing(True, f"the run has ended ({how})")


def _jobs(api: github_api.Api, path: str) -> Iterator[Mapping[str, Any]]:
    following: str | None = path
    while following:
        answer, following = github_api.page(api, following)
        yield from answer["jobs"]


def _has_reported(jobs: Iterator[Mapping[str, Any]], runner: str) -> bool:
    """Has the runner said of every step of its jobs that it is over. Of a runner that GitHub lost, the job is over too,
    but a step stays as it was, and its process can live on (https://github.com/actions/runner/issues/3539)."""
    own = [job for job in jobs if runner and job["runner_name"] == runner]
    return bool(own) and all(
        job["status"] == COMPLETED and job["steps"] and all(step["status"] == COMPLETED for step in job["steps"])
        for job in own
    )
