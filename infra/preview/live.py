"""The same report from the truth: what Pulumi would do, and what the hosts have."""

import copy
import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypedDict, cast

from agent.documents.answers import Finding
from agent.documents.manifest import Manifest
from agent.wording import phrase as worded
from catalogue.checks import check, ensure_valid
from catalogue.deployed_images import pin_images
from catalogue.host import SshHost
from catalogue.loading import Catalogue, load
from catalogue.machines import of_data_disk, of_instance, place_of, region_of
from catalogue.problems import CatalogueError, Problem
from catalogue.shapes import ResourceValues, is_mapping
from catalogue.stack import PROJECT, read_stack, stack_from
from infra import hosts, remote, sources, ssh
from infra.errors import InfraError
from infra.foreign import one_line
from infra.paths import config_file, project_root
from infra.preview import existing
from infra.preview.commits import snapshots
from infra.preview.compare import NOTHING, HostReports, build_report
from infra.preview.documents import Host, Machines, Present, Program, Snapshot
from infra.preview.graph import PLUMBING, Op, Step, order_steps
from infra.preview.groups import compare_groups, mark_spread
from infra.preview.hosts import compare_hosts
from infra.preview.images import digests, serving_digests
from infra.preview.marks import mask_text, stable
from infra.preview.report import StackReport
from infra.preview.snapshot import code_of, groups_of, hosts_of, machines
from infra.pulumi import PreviewResult, PreviewStep, ResourceState, attempt, preview, pulumi

INSTANCE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
OTHER_RELEASE = "{host} serves {release}; the last update of the stack deployed {last}"
UNASKED = "{host} did not answer, its files are shown as new: {why}"
NO_RELEASE = "no release was brought to this host yet"  # as in infra/on_host.py
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
    with ThreadPoolExecutor(3) as pool:
        by_pulumi, by_hosts = pool.submit(_preview, name), pool.submit(_hosts, catalogue)
        by_mocks = pool.submit(snapshots, None, project_root(), [name])
        pulumi_result, (there, host_reports, unbound) = by_pulumi.result(), by_hosts.result()
        mocked = by_mocks.result()[name]["head"]
    if isinstance(pulumi_result, str) or mocked["error"]:
        why = pulumi_result if isinstance(pulumi_result, str) else mocked["error"]
        return StackReport(
            name, error=why, source="live", language=catalogue.stack.language, timezone=catalogue.stack.timezone
        )
    pulumi_steps = list(steps(pulumi_result.steps))
    # The policy looks at what the program asks for, whatever is there already
    head, remarks = _head(catalogue, there, mocked)
    if "addresses" in there:
        there["machines"] = machines_before(head["machines"], there["region"], pulumi_steps)
    surveys, silent = existing.survey_all(catalogue, there.get("bare", {}), head.get("images", {}))
    unbound = [*news(pulumi_result.warnings, check(catalogue)), *unbound, *silent, *remarks]
    built = build_report(there, head, pulumi_steps, "live", HostReports(host_reports, unbound))
    return replace(built, hosts=existing.with_existing(built.hosts, surveys))


def news(warnings: Iterable[str], standing: Iterable[Problem]) -> list[str]:
    """What the program warns of, without what it always does: of the catalogue `infra check` warns. Pure."""
    standing_lines = {problem.message for problem in standing}
    return [line for line in warnings if line.removeprefix("warning: ") not in standing_lines]


def machines_before(after: Machines, region: str, pulumi_steps: list[Step]) -> Machines:
    """The machines as they are in the region that serves: what the steps make is not there yet. Pure."""
    machine_steps = [(of_instance(step.name), step) for step in pulumi_steps if step.type == INSTANCE]
    # One that a host keeps beside its own is an entry of its own (catalogue/prices.py)
    kept_machines = {
        f"{host}@{place_of(region, int(number))}": f"{host} {number}"
        for host, _, number in (name.partition(" ") for name in after)
        if number
    }
    here = [
        (kept_machines.get("@".join(host_and_place), host_and_place[0]), step)
        for host_and_place, step in machine_steps
        if host_and_place and region_of(host_and_place[1]) == region
    ]
    before = {host: machine for host, machine in after.items() if (host, "create") not in {(h, s.op) for h, s in here}}
    for host, step in here:
        # Another machine of the name may be made beside the one that is there
        if step.op != "create" and step.old:
            disk: ResourceValues = step.old.get("rootBlockDevice") or {}
            own = disk.get("volumeSize", after.get(host, [None, 0])[1])
            before[host] = [step.old["instanceType"], own, *after.get(host, [])[2:]]
    for step in pulumi_steps:
        place = of_data_disk(step.name) if step.type == VOLUME else None
        host = kept_machines.get("@".join(place), place[0]) if place and region_of(place[1]) == region else ""
        if host in before:
            data = [int(step.old["size"])] if step.op != "create" and step.old else []
            before[host] = [*before[host][:2], *data]
    return before


def catalogue_of(name: str, complete: bool = True) -> Catalogue:
    """The catalogue of a stack with its secrets, which stay in this process; where it need not be `complete`, some may
    lack a value. Raises CatalogueError, InfraError."""
    # Problems are reported for the sealed configuration: a complaint quotes what it found
    loaded = load(project_root(), read_stack(project_root(), name, config_file(name)))
    sealed = ensure_valid(loaded, with_values=complete)
    config = json.loads(pulumi("config", "--json", "--show-secrets", "--stack", name))
    values = {key: entry.get("objectValue", entry.get("value")) for key, entry in config.items()}
    try:
        own: dict[str, dict[str, str]] = values.get(f"{PROJECT}:secrets") or {}
        others = _secrets_of_others(sealed, own)
        values[f"{PROJECT}:secrets"] = {group: own.get(group, {}) | others.get(group, {}) for group in {*own, *others}}
        return replace(sealed, stack=stack_from(name, values, sealed.stack.file))
    except CatalogueError as error:
        if any(problem.where == f"{PROJECT}:secretsFrom" for problem in error.problems):
            raise
        where = ", ".join(sorted({problem.where for problem in error.problems}))
        rule = "set it again with pulumi config set --secret --path"
        raise CatalogueError(
            [Problem(sealed.stack.file, where, "an encrypted value does not match the key", rule)]
        ) from None


def _secrets_of_others(sealed: Catalogue, own: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The secrets that come from elsewhere. Raises CatalogueError."""
    try:
        return sources.resolve_values(sealed.stack, own)
    except InfraError as error:
        reason = str(error).replace("\n", "; ")
        rule = "check the name, the login and the rights that its source needs"
        raise CatalogueError([Problem(sealed.stack.file, f"{PROJECT}:secretsFrom", reason, rule)]) from None


def _preview(name: str) -> PreviewResult | str:
    """What it would do, or what the program says against it."""
    try:
        return preview("--stack", name)
    except InfraError as error:
        return str(error)


def steps(previewed: Iterable[PreviewStep]) -> Iterable[Step]:
    """Pulumi's own steps, the several of a replacement as one. Pure."""
    by_urn: dict[str, Step] = {}
    for entry in previewed:
        op: Op | None = "replace" if entry["op"] in REPLACING else OPS.get(entry["op"])
        urn = stable(entry["urn"])
        if op is None or urn.split("::")[2].rsplit("$", 1)[-1].startswith(PLUMBING):
            continue
        old, new = _inputs(entry.get("oldState")), _inputs(entry.get("newState"))
        changed = tuple(sorted(_inner(entry.get("detailedDiff") or entry.get("diffReasons") or (), old, new)))
        because = tuple(entry.get("replaceReasons") or ()) if op == "replace" else ()
        earlier = by_urn.get(urn)
        if earlier is None or (new and not earlier.new):
            by_urn[urn] = Step(urn, op, changed, because, old, json.loads(stable(json.dumps(new))))
    return order_steps(by_urn.values())


def _inputs(state: ResourceState | None) -> ResourceValues:
    return (state or {}).get("inputs", {})


def _inner(names: Iterable[str], old: ResourceValues, new: ResourceValues) -> Iterator[str]:
    """Which inputs changed, by the parts of those that have parts: where Pulumi names the whole of it alone."""
    for name in names:
        before, after = old.get(name), new.get(name)
        if is_mapping(before) and is_mapping(after):
            yield from (f"{name}.{key}" for key in {*before, *after} if before.get(key) != after.get(key))
        else:
            yield name


def _key(catalogue: Catalogue) -> bytes:
    """That of marks in place of secrets: the stack's own, which only its operators have."""
    return hashlib.sha256(f"marks of a preview\0{catalogue.stack.sshPrivateKey}".encode()).digest()


def _hosts(catalogue: Catalogue) -> tuple[Present, list[str], list[str]]:
    """What every host has, asked at the same time; what a plan binds of what they say, and what is only to be known."""
    try:
        outputs = hosts.outputs(catalogue.stack)
    except InfraError as error:
        bare = _existing_machines(catalogue, ())
        return {**NOTHING, "bare": bare}, [], [] if bare else [worded("no host was contacted: {why}", why=error)]
    addresses = {name: a for name, a in outputs["addresses"].items() if name.partition("@")[0] in catalogue.stack.hosts}
    leaving = sorted(set(outputs["addresses"]) - set(addresses))
    targets = hosts.targets_at(catalogue.stack, addresses)
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(targets, pool.map(_ask_host, targets.values()), strict=True))
    key = _key(catalogue)
    bare = {name: targets[name] for name, answer in answers.items() if answer is None}
    present: Present = {
        "bare": bare | _existing_machines(catalogue, addresses),
        "region": outputs.get("region", ""), "standby": outputs.get("standby", []), "problems": [], "hosts": {},
        "systems": outputs.get("systems", {}), "machines": None, "deployed": outputs.get("deployed", {}),
        "addresses": outputs.get("privateAddresses", {}), "groups": outputs.get("groups", {}),
    }  # fmt: skip
    host_reports: list[str] = []
    unbound: list[str] = [worded("{host} leaves the stack; it was not contacted", host=name) for name in leaving]
    for name, answer in answers.items():
        if isinstance(answer, str):
            unbound.append(worded(UNASKED, host=name, why=answer))
        elif answer and (complaint := _complaint(answer)):
            unbound.append(worded(UNASKED, host=name, why=complaint))
        elif answer:
            last = hosts.release_of(outputs, name)
            if last and last != answer["release"]:
                serves = one_line(answer["release"])[:12]
                host_reports.append(worded(OTHER_RELEASE, host=name, release=serves, last=last[:12]))
            host_reports += [f"{name}: {entry['path']} {entry['found']}" for entry in answer["drift"]]
            present["hosts"][name] = {
                "manifest": answer["manifest"],
                "files": {path: mask_text(text, path, key) for path, text in answer["files"].items()},
                "addresses": {},
                "spec": {},
                "room": None,
                "drifted": sorted({entry["path"] for entry in answer["drift"]}),
            }
    return present, host_reports, unbound


def _existing_machines(catalogue: Catalogue, except_for: Container[str]) -> dict[str, ssh.Target]:
    """Machines that are there before their first update, which no output names: how each is reached."""
    specs = {name: spec for name, spec in catalogue.stack.hosts.items() if isinstance(spec, SshHost)}
    addresses = {name: spec.address for name, spec in specs.items() if name not in except_for}
    try:
        return hosts.targets_at(catalogue.stack, addresses) if addresses else {}
    except InfraError:
        return {}


class ServedRelease(TypedDict):
    """The release that a host serves, its files as they are, and what is not as the release left it."""

    release: str
    manifest: Manifest
    files: dict[str, str]
    drift: list[Finding]


def _ask_host(target: ssh.Target) -> ServedRelease | str | None:
    """None of a host without a release; why, where it does not answer."""
    try:
        contents, drift = remote.ask(target, "contents"), remote.ask(target, "drift")["drift"]
        return None if contents["release"] is None else cast(ServedRelease, {**contents, "drift": drift})
    except InfraError as error:
        return None if NO_RELEASE in str(error) else str(error)


def _complaint(answer: ServedRelease) -> str:
    """Why what a host says of its release cannot be compared with another one; "" where it can."""
    host: Host = {"manifest": answer["manifest"], "files": answer["files"], "addresses": {}, "spec": {}, "room": None}
    other = copy.deepcopy(host)
    other["manifest"]["memory"] += 1
    try:
        for was, will in (host, other), (other, host):
            before, after = {"host": was}, {"host": will}
            changed_groups = [*compare_groups(before, after, ({}, {}))]
            mark_spread(compare_hosts(before, after), changed_groups, before, after)
        serving_digests(host["manifest"])
        _same_credentials(host["manifest"], other)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return f"its report of its release cannot be read ({one_line(repr(error))[:200]})"
    return ""


def _head(catalogue: Catalogue, there: Present, program: Program) -> tuple[Snapshot, list[str]]:
    """The stack as it is to be, its images by the digests that the registry has now; and what it does not list."""
    catalogue = replace(pin_images(catalogue, there["deployed"]), addresses=there.get("addresses", {}))
    serving: dict[str, str] = {}
    for host in there["hosts"].values():
        serving |= serving_digests(host["manifest"])
    images, unlisted = digests(catalogue, there["region"] or catalogue.stack.region, serving)
    rendered_hosts = hosts_of(catalogue, images, _key(catalogue))
    for name, host in there["hosts"].items():
        # A host knows none of its addresses and its room; a user's key in AWS is known to AWS alone
        if rendered := rendered_hosts.get(name):
            host["addresses"], host["room"] = rendered["addresses"], rendered["room"]
            host["spec"] = rendered["spec"]
            _same_credentials(host["manifest"], rendered)
    public = catalogue.stack.model_dump(mode="json", exclude={"sshPrivateKey", "hostPrivateKeys", "secrets"})
    remark = worded("not checked in the registry, or missing there: {images}", images=", ".join(unlisted))
    return {
        "stack": catalogue.stack.name, "problems": [], "error": "", "code": code_of(project_root()),
        "region": catalogue.stack.region, "standby": catalogue.stack.standbyRegions, "hosts": rendered_hosts,
        "machines": machines(catalogue.stack), "configuration": public, "groups": groups_of(catalogue),
        "images": {f"{name}{suffix}": d for name, by_suffix in images.items() for suffix, d in by_suffix.items()},
        "resources": program["resources"], "outputs": program["outputs"],
    }, [remark] if unlisted else []  # fmt: skip


def _same_credentials(before: Manifest, after: Host) -> None:
    versions = {
        place: v for item in before["environment_files"] for place, v in item["versions"].items() if place[0] == "@"
    }
    for item in after["manifest"]["environment_files"]:
        current_versions = {place: versions[place] for place in item["secrets"].values() if place in versions}
        item["versions"] |= current_versions
        for name, place in item["secrets"].items():
            if place in current_versions:
                text = after["files"][item["path"]]
                after["files"][item["path"]] = text.replace(
                    f"{name}=[secret not set]", f"{name}=[secret {current_versions[place]}]"
                )
