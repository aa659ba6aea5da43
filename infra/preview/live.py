"""The same report from the truth: what Pulumi would do, and what the hosts have."""

import copy
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from catalogue.checks import checked
from catalogue.loading import Catalogue, load
from catalogue.problems import CatalogueError
from catalogue.stack import stack_from
from infra import hosts, ssh
from infra.errors import InfraError
from infra.paths import project_root
from infra.preview.commits import snapshots
from infra.preview.compare import Snapshot, reported
from infra.preview.graph import PLUMBING, Op, Step
from infra.preview.report import StackReport
from infra.preview.snapshot import host_of, stable, wanted_images
from infra.pulumi import attempt, pulumi

INSTANCE = "aws:ec2/instance:Instance"
REPLACING = {"replace", "create-replacement", "delete-replaced", "discard-replaced"}
OPS: dict[str, Op] = {"create": "create", "update": "update", "delete": "delete", "import": "create"}


def is_possible(stack: str) -> bool:
    """Is there a Pulumi that is logged in, knows the stack and may read its secrets."""
    try:
        return attempt("config", "get", "infra:sshPrivateKey", "--stack", stack).returncode == 0
    except InfraError:
        return False


def report(name: str) -> StackReport:
    """What `pulumi up` would do to a stack now. Raises InfraError where it cannot be asked."""
    try:
        catalogue = catalogue_of(name)
    except CatalogueError as error:
        return StackReport(name, error=str(error), source="live")
    root = project_root()
    with ThreadPoolExecutor(3) as pool:
        by_pulumi, by_hosts = pool.submit(_preview, name), pool.submit(_hosts, catalogue)
        by_mocks = pool.submit(snapshots, root, root, [name])
        preview, (there, said), mocked = by_pulumi.result(), by_hosts.result(), by_mocks.result()
    if isinstance(preview, str):
        return StackReport(name, error=preview, source="live")
    taken = list(steps(preview))
    head = _head(catalogue, there)
    if there:
        there["configuration"] = configuration_before(head["configuration"], there, taken)
    # The policy looks at what the program asks for, whatever is there already
    head["resources"] = mocked[name]["head"].get("resources", [])
    return reported(there, head, taken, "live", said)


def configuration_before(after: dict[str, Any], there: Snapshot, taken: list[Step]) -> dict[str, Any]:
    """The stack as it is, as far as its cost goes: where it was, and with the machines that the steps change. Pure."""
    before = copy.deepcopy(after) | {"region": there["region"], "standbyRegions": there["standby"]}
    for step in taken:
        host = before["hosts"].get(step.name.removesuffix(f"-{there['region']}-instance"))
        if host and step.type == INSTANCE and step.old:
            host["instanceType"] = step.old["instanceType"]
            host["volume"] = (step.old.get("rootBlockDevice") or {}).get("volumeSize", host["volume"])
    return before


def catalogue_of(name: str) -> Catalogue:
    """The catalogue of a stack with its secrets, which stay in this process. Raises CatalogueError, InfraError."""
    found = json.loads(pulumi("config", "--json", "--show-secrets", "--stack", name))
    values = {key: entry.get("objectValue", entry.get("value")) for key, entry in found.items()}
    return checked(load(project_root(), stack_from(name, values, f"Pulumi.{name}.yaml")))


def _preview(name: str) -> list[dict[str, Any]] | str:
    """The steps, or what the program says against them."""
    done = attempt("preview", "--json", "--stack", name)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {}
    if done.returncode or "steps" not in found:
        said = [entry.get("message", "").strip() for entry in found.get("diagnostics", [])]
        return "\n".join(line for line in said if line) or done.stderr.strip() or "pulumi preview failed"
    return found["steps"]


def steps(preview: Iterable[dict[str, Any]]) -> Iterable[Step]:
    """Pulumi's own steps, the several of a replacement as one. Pure."""
    found: dict[str, Step] = {}
    for entry in preview:
        op: Op | None = "replace" if entry["op"] in REPLACING else OPS.get(entry["op"])
        urn = stable(entry["urn"])
        if op is None or urn.split("::")[2].rsplit("$", 1)[-1].startswith(PLUMBING):
            continue
        old, new = ((entry.get(state) or {}).get("inputs", {}) for state in ("oldState", "newState"))
        changed = tuple(sorted(entry.get("detailedDiff") or entry.get("diffReasons") or ()))
        because = tuple(entry.get("replaceReasons") or ()) if op == "replace" else ()
        known = found.get(urn)
        if known is None or (new and not known.new):
            found[urn] = Step(urn, op, changed, because, old, json.loads(stable(json.dumps(new))))
    order = ("delete", "replace", "update", "create")
    return sorted(found.values(), key=lambda step: (not step.danger, order.index(step.op), step.type, step.urn))


def _hosts(catalogue: Catalogue) -> tuple[Snapshot, list[str]]:
    """What every host has, asked at the same time; and what they say that a reviewer should know."""
    stack = catalogue.stack
    try:
        outputs = hosts.outputs(stack)
        targets = {name: target for name, target in hosts.targets(stack).items() if "@" not in name}
    except InfraError:
        return {}, ["the stack is not there yet"]
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(targets, pool.map(_asked, targets.values()), strict=True))
    found: Snapshot = {"hosts": {}, "region": outputs.get("region", ""), "problems": []}
    found["standby"] = outputs.get("standby", [])
    said: list[str] = []
    for name, answer in answers.items():
        if isinstance(answer, str):
            said.append(f"{name} could not be asked, its files are shown as new: {answer}")
            continue
        if answer["release"] is None:
            continue
        if (wanted := outputs["releases"].get(name, {}).get("id")) not in (None, answer["release"]):
            said.append(f"{name} is behind the stack: it serves {answer['release'][:12]}, and not {wanted[:12]}")
        said += [f"{name}: {entry['path']} {entry['found']} by hand" for entry in answer["drift"]]
        limits = {"all services": answer["manifest"]["memory"]}
        found["hosts"][name] = {"manifest": answer["manifest"], "files": answer["files"], "limits": limits}
    return found, said


def _asked(target: ssh.Target) -> dict[str, Any] | str:
    try:
        return {**ssh.ask(target, "contents"), "drift": ssh.ask(target, "drift")["drift"]}
    except InfraError as error:
        return str(error)


def _head(catalogue: Catalogue, there: Snapshot) -> Snapshot:
    """The stack as it is to be, its images by the digests that the registry has now."""
    images = wanted_images(catalogue)
    for repository, known in digests(catalogue, there.get("region") or catalogue.stack.region).items():
        images[repository] |= known
    made = {name: host_of(catalogue, name, images) for name in catalogue.stack.hosts}
    for name, host in there.get("hosts", {}).items():
        if name in made:
            # The host knows none of its addresses and its room; a user's key in AWS is known to AWS alone
            host |= {key: made[name][key] for key in ("addresses", "room", "spec")}
            _same_credentials(host["manifest"], made[name])
    public = catalogue.stack.model_dump(mode="json", exclude={"sshPrivateKey", "hostPrivateKeys", "secrets"})
    return {
        "stack": catalogue.stack.name, "problems": [], "region": catalogue.stack.region, "hosts": made,
        "configuration": public,
    }  # fmt: skip


def _same_credentials(before: dict[str, Any], after: dict[str, Any]) -> None:
    versions = {
        place: v for item in before["environment_files"] for place, v in item["versions"].items() if place[0] == "@"
    }
    for item in after["manifest"]["environment_files"]:
        known = {place: versions[place] for place in item["secrets"].values() if place in versions}
        item["versions"] |= known
        for name, place in item["secrets"].items():
            if place in known:
                text = after["files"][item["path"]]
                after["files"][item["path"]] = text.replace(
                    f"{name}=[secret not set]", f"{name}=[secret {known[place]}]"
                )


def digests(catalogue: Catalogue, region: str) -> dict[str, dict[str, str]]:
    """Repository → suffix (`:tag`, `@digest`) → digest, of those that run and that a region's registry has."""
    images = wanted_images(catalogue)
    client = boto3.client("ecr", region_name=region)

    def of(repository: str) -> dict[str, str]:
        pinned = {suffix: digest for suffix, digest in images[repository].items() if suffix.startswith("@")}
        wanted: Any = [{"imageTag": suffix[1:]} for suffix in images[repository] if suffix.startswith(":")]
        if not wanted:
            return pinned
        try:
            details = client.describe_images(repositoryName=repository, imageIds=wanted)["imageDetails"]
        except (BotoCoreError, ClientError):
            return pinned
        return pinned | {f":{tag}": entry["imageDigest"] for entry in details for tag in entry.get("imageTags", [])}

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(images, pool.map(of, images), strict=True))
