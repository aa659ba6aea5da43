"""Two checkouts as values: what each one's program makes and what its hosts get, as JSON on standard output.

Runs as a script, each checkout in a process of its own and with its own packages, which may be older than this file: of
ours it imports marks.py, mocks.py and recording.py beside it alone, and it works without AWS, passphrase or Pulumi
login. What is encrypted in a stack's configuration stays so: a mark stands for it that changes with it.
"""

import gc
import hashlib
import importlib
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalogue.problems import Problem
    from catalogue.shapes import JsonObject
    from infra.preview.documents import (
        Configuration,
        Failure,
        Host,
        Machines,
        Pair,
        Placement,
        ProblemRecord,
        Program,
        Snapshot,
        StateEntry,
    )  # fmt: skip
if __package__:
    from infra.preview import marks, mocks
else:
    import marks
    import mocks

KEYS = {"sshPrivateKey": "[made by infra init]", "sshPublicKey": "ssh-ed25519 AAAA [made by infra init]"}
LIBRARIES = (
    "boto3", "jinja2", "pulumi", "pulumi_aws", "pulumi_command.local", "pulumi_command.remote", "pydantic", "yaml",
)  # fmt: skip


def image_digests(catalogue: Any) -> dict[str, dict[str, str]]:
    """Repository → suffix (`:tag`, `@digest`) → digest: the one that is named, or without a registry a made-up one."""
    by_repository: dict[str, dict[str, str]] = {}
    # A program of 0.2.0 has no list of them: there only containers had images
    containers = (service for system in catalogue.running.values() for service in system.compose_services)
    images = catalogue.images if hasattr(catalogue, "images") else [service.image for service in containers]
    for image in images:
        suffix = image.suffix
        digest = hashlib.sha256(f"{image.repository}{suffix}".encode()).hexdigest()
        by_repository.setdefault(image.repository, {})[suffix] = suffix[1:] if suffix[0] == "@" else f"sha256:{digest}"
    return by_repository


def keys(stack: Any, values: "Configuration") -> "Configuration":
    """The configuration with marks for keys that have not been made yet."""
    missing = {f"infra:{key}": text for key, text in KEYS.items() if not values.get(f"infra:{key}")}
    of_hosts: dict[str, dict[str, str]] = {}
    for key, text in (("hostPublicKeys", KEYS["sshPublicKey"]), ("hostPrivateKeys", KEYS["sshPrivateKey"])):
        existing: dict[str, str] = values.get(f"infra:{key}") or {}
        of_hosts[f"infra:{key}"] = dict.fromkeys(stack.ec2_hosts, text) | existing
    return values | missing | of_hosts


def text(content: bytes, path: str, key: bytes) -> str:
    try:
        return marks.mask_text(content.decode(), path, key)
    except UnicodeDecodeError:
        return f"(binary, {len(content)} bytes, {hashlib.sha256(content).hexdigest()[:12]})\n"


def host_of(catalogue: Any, name: str, images: dict[str, dict[str, str]], key: bytes) -> "Host":
    """What a host gets: the manifest that its agent works from, and every file as people read it."""
    from catalogue.sizes import MiB, to_bytes
    from rendering.archive import manifest_of
    from rendering.host import render

    digests = {f"{repository}{suffix}": d for repository, of in images.items() for suffix, d in of.items()}
    rendered = render(catalogue, name, digests)
    files = {file.path: text(file.content, file.path, key) for file in rendered.files}
    for file in rendered.environment_files:
        secrets = {key: f"[secret {file.versions.get(place, 'not set')}]" for key, place in file.secrets.items()}
        lines = [
            f"{key}{getattr(file, 'between', '=')}{value}" for key, value in sorted({**file.values, **secrets}.items())
        ]
        whole = "\n".join([*([file.head] if file.head else []), *lines]) + "\n"
        files[file.path] = marks.mask_text(whole, file.path, key)
    files |= {link.path: f"-> {link.target}\n" for link in rendered.links}
    spec = catalogue.stack.hosts[name]
    addresses = {
        service.container: str(service.address)
        for system in catalogue.systems_on(name)
        for service in system.compose_services
        if service.address
    }
    manifest = json.loads(json.dumps(manifest_of(rendered), default=str))
    return {
        "manifest": manifest, "files": files, "addresses": addresses,
        "spec": spec.model_dump(mode="json"),
        "room": spec.memory_mib and spec.memory_mib - to_bytes(spec.reserve) // MiB,
        "exceptions": _exceptions(catalogue, name),
    }  # fmt: skip


def _exceptions(catalogue: Any, host: str) -> dict[str, dict[str, str]]:
    try:
        from policy.of_stack import exceptions
    except ImportError:
        # An earlier program has none
        return {}
    return exceptions(catalogue, host)


def hosts_of(catalogue: Any, images: dict[str, dict[str, str]], key: bytes) -> "dict[str, Host]":
    """Every host of a stack; one of a region that stands by is HOST@REGION."""
    stack = catalogue.stack
    by_name = {host: host_of(catalogue, host, images, key) for host in stack.hosts}
    for region in getattr(stack, "standbyRegions", []):
        there = replace(catalogue, stack=stack.at(region))
        if own := getattr(catalogue, "addresses", {}):
            regional = {name.partition("@")[0]: text for name, text in own.items() if name.endswith(f"@{region}")}
            there = replace(there, addresses=regional)
        by_name |= {f"{host}@{region}": host_of(there, host, images, key) for host in stack.ec2_hosts}
    return by_name


def machines(stack: Any) -> "Machines":
    """Host → instance type and GiB of its disks, of those that cost something in AWS."""
    own = {n: [host.instanceType, *getattr(host, "disks", [host.volume])] for n, host in stack.ec2_hosts.items()}
    beside = ((name, machine) for name, host in stack.ec2_hosts.items() for machine in getattr(host, "kept", []))
    return own | {f"{name} {machine.generation}": [machine.instanceType, *own[name][1:]] for name, machine in beside}


def groups_of(catalogue: Any) -> dict[str, dict[str, float]]:
    """The first host of each group → host → bytes of memory that it has for spread services."""
    try:
        from catalogue.groups import memory_of_groups
    except ImportError:
        # An earlier program has none, or puts none out
        return {}
    return {leader: {**free} for leader, free in memory_of_groups(catalogue.stack, catalogue.systems).items()}


def code_of(root: Path) -> str:
    """A hash of all that runs in an update, here and on hosts: another program is another plan."""
    folders = ("agent", "catalogue", "components", "infra", "policy", "rendering")
    # What Python compiles, and the policy's own environment, are made from these
    generated = {"__pycache__", "venv"}
    paths = [path.relative_to(root) for folder in folders for path in (root / folder).rglob("*")]
    # A module at the root is found before a library of its name
    paths += [path.relative_to(root) for path in root.glob("*.py")]
    paths += [Path(name) for name in ("Pulumi.yaml", "pyproject.toml", "uv.lock")]
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if not generated & set(path.parts) and (root / path).is_file()):
        digest.update(f"{path} {hashlib.sha256((root / path).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def take(
    root: Path, name: str, file: Path, state: "dict[str, StateEntry] | None" = None, key: bytes = marks.PROCESS_KEY
) -> "Snapshot | Failure":
    """The snapshot of one stack. What its owner would read is in `problems` (all) and `error` (why there is no
    more). `key` is that of marks (see `unspoken`)."""
    import yaml

    from catalogue.checks import check
    from catalogue.loading import load
    from catalogue.problems import CatalogueError
    from catalogue.stack import read_stack, stack_from

    try:
        read_stack(root, name, file)
        whole: JsonObject = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        values = marks.mask_encrypted(whole.get("config") or {})
        marks.mark_sources(values)
        stack = stack_from(name, values, file.name)
        values = keys(stack, values)
        catalogue = load(root, stack_from(name, values, file.name))
        problems = check(catalogue)
    except CatalogueError as error:
        return {"stack": name, "problems": _records(error.problems), "error": str(error)}
    # An earlier commit's problems may lack the field
    unset = [path for problem in problems if (path := getattr(problem, "unset", ""))]
    problems = [replace(p, level="warning") if getattr(p, "unset", "") else p for p in problems]
    if errors := [str(problem) for problem in problems if problem.level == "error"]:
        return {"stack": name, "problems": _records(problems), "error": "\n".join(errors)}
    images = image_digests(catalogue)
    hosts = hosts_of(catalogue, images, key)
    program = _run(root, name, marks.mark_unset(values, unset), mocks.KnownFacts(images, state or {}))
    return {
        "stack": name, "problems": _records(problems), "error": "", "code": code_of(root), "region": stack.region,
        "standby": list(getattr(stack, "standbyRegions", [])), "configuration": stack.model_dump(mode="json"),
        "machines": machines(stack), "hosts": hosts, "groups": groups_of(catalogue), **program,
    }  # fmt: skip


def _records(problems: "Sequence[Problem]") -> "list[ProblemRecord]":
    return [cast("ProblemRecord", asdict(problem)) for problem in problems]


def _run(root: Path, name: str, values: "Configuration", facts: mocks.KnownFacts) -> "Program":
    # It imports Pulumi, which a command that takes no snapshot does not need
    if __package__:
        from infra.preview import recording
    else:
        import recording
    return recording.run(root, name, values, facts)


def state_of(snapshot: "Snapshot") -> "dict[str, StateEntry]":
    """What Pulumi would know of a stack that is as its snapshot says."""
    by_urn = {resource["urn"]: resource for resource in snapshot["resources"]}
    stack = next(urn for urn, resource in by_urn.items() if resource["type"] == "pulumi:pulumi:Stack")
    state: dict[str, StateEntry] = {
        urn: {"type": entry["type"], "outputs": {"arn": urn, **entry["inputs"], **snapshot["outputs"].get(urn, {})}}
        for urn, entry in by_urn.items()
        if entry["type"].startswith(("infra:", "aws:route53/record:", "aws:ec2/instance:")) or "::record-" in urn
    }
    state[stack] = {"type": "pulumi:pulumi:Stack", "outputs": {**placement(snapshot), "move": {}}}
    return state


def apart(
    root: str, name: str, file: str, key: bytes, state: "dict[str, StateEntry] | None" = None
) -> "SnapshotProcess":
    """A snapshot in a process of its own, which has the libraries already."""
    out = tempfile.TemporaryFile()  # noqa: SIM115 (both processes have it)
    pid = os.fork()
    if pid:
        return SnapshotProcess(name, pid, out)
    sys.path.insert(0, root)
    try:
        os.chdir(root)
        output = json.dumps(take(Path(root), name, Path(file or f"{root}/Pulumi.{name}.yaml"), state, key))
    except BaseException as error:  # the program's own last word, whatever it is
        output = json.dumps({"stack": name, "problems": [], "error": str(error) or type(error).__name__})
    out.write(output.encode())
    out.flush()
    os._exit(0)


@dataclass
class SnapshotProcess:
    stack: str
    pid: int
    out: IO[bytes]

    def wait(self) -> "Snapshot":
        """Its snapshot, or a `Failure`: of one with an error nothing else is read."""
        os.waitpid(self.pid, 0)
        self.out.seek(0)
        silent: Failure = {"stack": self.stack, "problems": [], "error": "the program ended without a message"}
        return json.loads(self.out.read() or json.dumps(silent))


def pair(base: str, head: str, name: str, file: str) -> "Pair":
    """Both checkouts of a stack (`base` may be none)."""
    key = marks.key_of(Path(file or f"{head}/Pulumi.{name}.yaml"))
    after = apart(head, name, file, key)
    before = apart(base, name, "", key).wait() if base else None
    return pair_up(before, after.wait(), head, file, key)


def pair_up(before: "Snapshot | None", after: "Snapshot", head: str, file: str, key: bytes) -> "Pair":
    """Two snapshots of a stack. One that changes its place is taken once more, now that it is known from where."""
    complete = [snapshot for snapshot in (before, after) if snapshot and not snapshot["error"]]
    if len({str([placement(s), s["configuration"].get("dns")]) for s in complete}) == 2:
        after = apart(head, after["stack"], file, key, state_of(complete[0])).wait()
    return {"head": after} if before is None else {"base": before, "head": after}


def systems_of(configuration: "Configuration") -> dict[str, list[str]]:
    """Host → its systems."""
    hosts: dict[str, JsonObject] = configuration["hosts"]

    def name(entry: Any) -> str:
        """As catalogue/instances.py has it."""
        if isinstance(entry, str):
            return entry
        services: list[str] = entry.get("services") or []
        return entry.get("as") or "-".join([entry["system"], *services[:1]])

    return {host: [name(entry) for entry in spec["systems"]] for host, spec in hosts.items()}


def placement(snapshot: "Snapshot") -> "Placement":
    hosts = snapshot["configuration"]["hosts"]
    return {
        "region": snapshot["region"], "standby": snapshot["standby"], "systems": systems_of(snapshot["configuration"]),
        "generations": {name: spec["generation"] for name, spec in hosts.items() if "generation" in spec},
        "kept": {name: [earlier["generation"] for earlier in spec.get("kept", [])] for name, spec in hosts.items()},
    }  # fmt: skip


def preload() -> None:
    """Imports the libraries before processes part: most of the time of a snapshot goes into these."""
    # Nothing here lives long enough to be worth collecting
    gc.disable()
    for library in LIBRARIES:
        # Pulumi's modules load when something of theirs is asked for
        hasattr(importlib.import_module(library), "__all__")


def main() -> int:
    """Reads {base, head: directories; stacks: name → its file in head, or ""}, writes stack → its pair."""
    request = json.load(sys.stdin)
    preload()
    pairs = {name: pair(request["base"], request["head"], name, file) for name, file in request["stacks"].items()}
    # At once: into a file, Python writes JSON piece by piece, and each piece wakes who reads the pipe
    sys.stdout.write(json.dumps(pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
