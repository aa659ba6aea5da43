"""Catalogues for tests: the project's own, with what a test changes. And programs, run to their end within a time limit."""

import contextlib
import copy
import hashlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from catalogue.loading import Catalogue, load
from catalogue.models import System
from catalogue.network_defaults import with_assigned
from catalogue.stack import Stack, stack_from
from catalogue.variants import apply_variant

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
Change = Callable[[Any], None]


def read_yaml(path: str) -> Any:
    """The value of a YAML file of the project. PyYAML's own reader, in C, is ten times as fast as that in Python."""
    return yaml.load((ROOT / path).read_text(), yaml.CSafeLoader)


WATCHME: dict[str, Any] = read_yaml("files/systems/watchme.yaml")
PROD: dict[str, Any] = read_yaml("Pulumi.prod.yaml")["config"]


def unchanged(_: Any) -> None:
    pass


def stack(change: Change = unchanged, name: str = "prod") -> Stack:
    values = copy.deepcopy(PROD)
    change(values)
    return stack_from(name, values, f"Pulumi.{name}.yaml")


def catalogue(system: Change = unchanged, config: Change = unchanged) -> Catalogue:
    """WatchMe on stack prod; `system` and `config` change the YAML's values before they are read."""
    data = copy.deepcopy(WATCHME)
    system(data)
    return Catalogue(stack(config), {"watchme": with_assigned(System.model_validate(data))})


LAB: dict[str, Any] = read_yaml("Pulumi.lab.yaml")["config"]
# The machine that stands for the owners' own, as an administrator would write it down
HOME = {
    "kind": "ssh", "address": "192.0.2.7", "user": "admin", "hostKey": "ssh-ed25519 AAAA", "memory": "16g",
    "systems": ["totton", "vocoder"],
}  # fmt: skip


def whole(config: Change = unchanged) -> Catalogue:
    """All five systems on their three kinds of hosts: stack lab with a machine of the owners' own."""
    values = copy.deepcopy(LAB)
    values["infra:hosts"]["home"] = copy.deepcopy(HOME)
    config(values)
    return load(ROOT, stack_from("lab", values, "Pulumi.lab.yaml"))


def changed(made: Catalogue, name: str, change: Change) -> Catalogue:
    """The same with one system's YAML changed; of a system with variants its first."""
    data = apply_variant(read_yaml(f"files/systems/{name}.yaml"), made.stack.variants.get(name))
    change(data)
    return replace(made, systems=made.systems | {name: with_assigned(System.model_validate(data))})


def put_by_hand(made: Catalogue, name: str = "", change: Change = unchanged) -> Catalogue:
    """The same where the programs of the owners' own machine are put there by hand: it asks nothing of AWS then. `name`
    is a system whose YAML changes too."""
    for system in sorted({"totton", "vocoder", name} - {""}):

        def both(data: Any, system: str = system) -> None:
            for service in data["services"]:
                if system in ("totton", "vocoder"):
                    service.pop("artefact", None)
            (change if system == name else unchanged)(data)

        made = changed(made, system, both)
    return made


def digests(system: Change = unchanged, version: int = 1) -> dict[str, str]:
    """What a registry with every image of the catalogue would say."""
    names = [image.name for entry in catalogue(system).systems["watchme"].compose_services for image in entry.images]
    return {name: f"sha256:{hashlib.sha256(f'{name} {version}'.encode()).hexdigest()}" for name in names}


def emulated_aws(monkeypatch: Any) -> Any:
    """moto in this process, whatever AWS the surroundings name: a context."""
    from moto import mock_aws

    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    return mock_aws()


def any_image(ec2: Any) -> str:
    """The id of the emulator's machine image (tests/fakes/machine_images.json)."""
    return ec2.describe_images()["Images"][0]["ImageId"]


def service(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in data["services"] if entry["name"] == name)


def execute(
    *argv: str | Path, code: int | None = 0, timeout: float = 60, input: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; `options` are Popen's. A test that fails shows what it wrote.

    Raises AssertionError when it takes more than `timeout` seconds, or ends with another exit code than `code` (None: any).
    """
    words = [str(word) for word in argv]
    given = {
        "stdin": subprocess.DEVNULL if input is None else subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    process = subprocess.Popen(words, text=True, start_new_session=True, **given | options)
    end = f"not ended after {timeout:g} s"
    try:
        output, errors = process.communicate(input, timeout=timeout)
        end = f"exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        end_session(process.pid)
        output, errors = process.communicate()
    except BaseException:
        end_session(process.pid)
        raise
    # pytest keeps it and shows it with a failure
    print(f"$ {shlex.join(words)}: {end}\n{output or ''}{errors or ''}", end="")
    assert end.startswith("exit code"), f"{shlex.join(words)}: {end}"
    assert code in (None, process.returncode), f"{shlex.join(words)}: {end}, not {code}"
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def hear_signals(*ignored: signal.Signals) -> None:
    """For a program before it starts: it ignores these of the signals that end one, and no others, whatever the
    surroundings of the tests ignore (nohup does)."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN if one in ignored else signal.SIG_DFL)


@contextlib.contextmanager
def started(*argv: str | Path, timeout: float = 60, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A running program, for tests that talk to it; `options` are Popen's. It is ended, with all that it started, when the
    block ends and after `timeout` seconds at the latest: who reads from it then reads the end of its output."""
    process = subprocess.Popen([str(word) for word in argv], text=True, start_new_session=True, **options)

    def end() -> None:
        # Once its end was waited for, its number may be another's
        if process.returncode is None:
            end_session(process.pid)

    limit = threading.Timer(timeout, end)
    limit.daemon = True
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        end()
        with process:
            pass


def end_session(leader: int) -> None:
    """Ends a process and all that it started, whatever groups they made for themselves. It is the first to end: it would
    record the end of the others as an outcome of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[3]) == leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)
