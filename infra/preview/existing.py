"""What the first release does to what already runs on a host: asked of the host, which is only read, and judged as its
agent will."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from agent import adopting, quoting
from agent.definitions import Wanted
from agent.documents.manifest import Manifest
from agent.shapes import DockerDetails
from agent.wording import phrase
from catalogue.loading import Catalogue
from infra import remote, ssh
from infra.errors import InfraError
from infra.foreign import one_line
from infra.forms import MOST, Form, Names, Text, check_form
from infra.preview.hosts import ExistingThing, HostChange
from infra.ssh import Target
from rendering.archive import manifest_of
from rendering.files import HostFiles
from rendering.host import render

PROGRAM = Path(__file__).with_name("existing_on_host.py")
LONGEST = 200  # characters of a name that a host reports
UNITS = "/etc/systemd/system/"


class ContainerForm(Form):
    name: Text
    running: bool
    addresses: Names
    ports: Names
    details: DockerDetails | None = None


class FactsForm(Form):
    containers: Annotated[list[ContainerForm], Field(max_length=MOST)]
    images: dict[Text, DockerDetails]
    docker: Text = ""
    """Why its containers are not known."""
    listening: dict[Text, Text]
    paths: dict[Text, Text]
    units: Names
    sites: Annotated[list[Annotated[list[Text], Field(min_length=2, max_length=2)]], Field(max_length=MOST)]


@dataclass(frozen=True)
class Survey:
    """What there is on a host, and who has its ports and addresses now."""

    things: list[ExistingThing] = field(default_factory=list[ExistingThing])
    ports: dict[str, str] = field(default_factory=dict[str, str])
    addresses: dict[str, str] = field(default_factory=dict[str, str])


def survey_all(
    catalogue: Catalogue, targets: Mapping[str, Target], digests: Mapping[str, str]
) -> tuple[dict[str, Survey], list[str]]:
    """What each host that has no release has beside; and a line for each that does not say so."""

    def one(item: tuple[str, Target]) -> Survey | str:
        host, target = item
        try:
            return survey(catalogue, host, target, digests)
        except InfraError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(targets, pool.map(one, targets.items()), strict=True))
    silent = {host: answer for host, answer in answers.items() if isinstance(answer, str)}
    form = "{host} did not answer, so what runs there already is not known: {why}"
    return (
        {host: answer for host, answer in answers.items() if isinstance(answer, Survey)},
        [phrase(form, host=host, why=why) for host, why in silent.items()],
    )


def survey(catalogue: Catalogue, host: str, target: Target, digests: Mapping[str, str]) -> Survey:
    """Raises InfraError where the host cannot be asked, or says what cannot be read."""
    rendered, key = render(catalogue, host.partition("@")[0], dict(digests)), secrets.token_bytes(32)
    manifest: Manifest = manifest_of(rendered)
    request = {
        "key": key.hex(),
        "containers": [entry["name"] for entry in manifest["containers"]],
        "paths": [item["path"] for kind in ("files", "environment_files", "links") for item in manifest[kind]],
        "units": [unit["name"] for unit in manifest["units"] if "/" not in unit["name"]],
        "names": manifest["names"],
        "private": manifest.get("private", []),
    }
    with ssh.connect(target) as transport:
        answers = remote.run_program(transport, target, PROGRAM.read_text(), request)
        facts = next((event["facts"] for event in answers if "facts" in event), None)
    check_form(FactsForm, facts, "its list of what runs there", str(target))
    try:
        return judge(manifest, _texts(rendered, manifest, catalogue.stack.secrets), facts or {}, key)
    except adopting.UNREADABLE as error:
        reason = one_line(repr(error))[:LONGEST]
        raise InfraError(f"{target}: its list of what runs there cannot be read ({reason})") from None


def _texts(rendered: HostFiles, manifest: Manifest, values: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The release's files, with the secrets that are known here."""
    texts = {file.path: file.content.decode(errors="replace") for file in rendered.files}
    for item in manifest["environment_files"]:
        places = {name: place.partition("/")[::2] for name, place in item["secrets"].items()}
        pairs = item["values"] | {name: values.get(group, {}).get(key, "") for name, (group, key) in places.items()}
        texts[item["path"]] = "".join(f"{name}='{value}'\n" for name, value in sorted(pairs.items()))
    return texts


def judge(manifest: Manifest, texts: Mapping[str, str], facts: Mapping[str, Any], key: bytes) -> Survey:
    """The same as the agent's own decision, by what a host reports. Pure."""

    def mark(value: str) -> str:
        return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()

    to_create, unreadable = _containers_to_create(manifest, texts)
    containers = [
        one._replace(environment={name: mark(value) for name, value in one.environment.items()}) for one in to_create
    ]
    # On a first release these do not start yet
    waiting = {unit["name"] for unit in manifest["units"] if unit.get("flag")}
    details = {entry["name"]: entry["details"] for entry in facts["containers"] if entry.get("details")}
    verdicts = {
        verdict.wanted.entry["name"]: verdict for verdict in adopting.judge(containers, details, facts["images"])
    }
    things: list[ExistingThing] = []
    for entry in sorted(facts["containers"], key=lambda entry: entry["name"]):
        verdict = verdicts.get(entry["name"])
        differs = list(verdict.differs) if verdict else unreadable if entry.get("details") else []
        if "image" in differs and not _digests_of_image(entry, facts["images"]):
            differs[differs.index("image")] = "image (of no registry: the update compares it once it has the release's)"
        if verdict and verdict.wanted.entry["unit"] in facts["units"]:
            differs.append(f"run by {verdict.wanted.entry['unit']}")
        if verdict and verdict.wanted.entry["unit"] in waiting:
            differs.append("starts once this host owns the name")
        is_ours = bool(verdict or differs)
        things.append(_container(one_line(entry["name"])[:LONGEST], differs, is_ours, entry["running"]))
    if why := facts.get("docker"):
        form = "containers of this machine are not known, since Docker does not list them: {why}"
        things.append(ExistingThing("container", "", "not known", [], phrase(form, why=one_line(why)[:LONGEST])))
    owners = {port: entry["name"] for entry in facts["containers"] if entry["running"] for port in entry["ports"]}
    listening = {port: owners.get(port) or program for port, program in facts["listening"].items()} | owners
    things += [
        *_taken_ports(manifest, owners, listening, facts["units"]),
        *_units(manifest, facts["units"]),
        *_files(manifest, texts, facts["paths"], mark),
        *_sites(manifest, facts["sites"]),
    ]
    addresses = {address: entry["name"] for entry in facts["containers"] for address in entry["addresses"]}
    ports = {port.partition("/")[0]: one_line(who)[:LONGEST] for port, who in listening.items()}
    return Survey(things, ports, {address: one_line(who)[:LONGEST] for address, who in addresses.items()})


def _containers_to_create(manifest: Manifest, texts: Mapping[str, str]) -> tuple[list[Wanted], list[str]]:
    """The containers that the release creates, or why none of them can be compared; then the agent replaces them."""
    try:
        return adopting.containers_of(manifest, texts, [unit["name"] for unit in manifest["units"]]), []
    except adopting.UNREADABLE as error:
        return [], [f"cannot be compared: {quoting.error(error)}"]


def _digests_of_image(entry: Mapping[str, Any], images: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return images.get(entry["details"].get("Image"), {}).get("RepoDigests") or []


def _container(name: str, differs: list[str], is_ours: bool, is_running: bool) -> ExistingThing:
    if not is_ours:
        line = phrase("container {name} is left alone: it is not in the catalogue", name=name)
        return ExistingThing("container", name, "left alone", [], line)
    if not differs:
        form = "container {name} is adopted: it is what the release creates, and runs on without an interruption"
        return ExistingThing("container", name, "adopted", [], phrase(form, name=name))
    if adopting.AUTO_REMOVED in differs:
        form = (
            "container {name} was started with --rm, so a stop would remove it for good: the update is refused. "
            "Start it without --rm, or remove it, and run again"
        )
        return ExistingThing("container", name, "refused", [adopting.AUTO_REMOVED], phrase(form, name=name))
    form = (
        "container {name} is replaced, with an interruption; its volumes are kept. It differs: {differs}"
        if is_running
        else "container {name} is replaced; its volumes are kept. It differs: {differs}"
    )
    differs = [one_line(text)[:LONGEST] for text in differs]
    return ExistingThing("container", name, "replaced", differs, phrase(form, name=name, differs=", ".join(differs)))


def _taken_ports(
    manifest: Manifest, owners: Mapping[str, str], listening: Mapping[str, str], active: list[str]
) -> Iterator[ExistingThing]:
    own_ports = [
        (f"{entry['port']}/tcp", entry["service"], entry["unit"], entry.get("container", ""))
        for entry in manifest["ports"]
    ]
    own_ports += [
        (f"{port}/{entry['protocol']}", entry["service"], entry["unit"], entry["container"])
        for entry in manifest["published"]
        for port in range(entry["first"], entry["last"] + 1)
    ]
    for port, service, unit, container in own_ports:
        # What its own unit holds, the release restarts
        if port in listening and unit not in active and not (container and owners.get(port) == container):
            who = one_line(listening[port])[:LONGEST] or "another program"
            form = "port {port} of {service} is taken by {who}: the update is refused until that is stopped"
            yield ExistingThing("port", port, "refused", [], phrase(form, port=port, service=service, who=who))


def _units(manifest: Manifest, active: list[str]) -> Iterator[ExistingThing]:
    own = {item["path"] for item in manifest["files"]}
    for name in active:
        if f"{UNITS}{name}" in own:
            form = "unit {name} runs already: it restarts with the release's definition"
            yield ExistingThing("unit", name, "replaced", [], phrase(form, name=name))


def _files(
    manifest: Manifest, texts: Mapping[str, str], paths: Mapping[str, str], mark: Callable[[str], str]
) -> Iterator[ExistingThing]:
    targets = {link["path"]: f"-> {link['target']}" for link in manifest["links"]}
    environment = {item["path"] for item in manifest["environment_files"]}
    for path, there in sorted(paths.items()):
        if path not in texts and path not in targets:
            continue
        if not there or there == targets.get(path) or (path not in environment and there == mark(texts.get(path, ""))):
            continue
        if there in ("directory", "special"):
            form = "{path} is no file: the update is refused until it is moved away"
            yield ExistingThing("file", path, "refused", [], phrase(form, path=path))
        else:
            form = "{path} exists and is replaced; it is kept in /var/lib/infra/edited"
            yield ExistingThing("file", path, "replaced", [], phrase(form, path=path))


def _sites(manifest: Manifest, sites: list[list[str]]) -> Iterator[ExistingThing]:
    own = {item["path"] for kind in ("files", "links") for item in manifest[kind]}
    for path, name in sorted({(path, name) for path, name in sites if path not in own and name in manifest["names"]}):
        path = one_line(path)[:LONGEST]
        form = "{path} also has the public name {name}: the update is refused until it is moved away"
        yield ExistingThing("site", path, "refused", [], phrase(form, path=path, name=name))


def with_existing(changes: list[HostChange], surveys: Mapping[str, Survey]) -> list[HostChange]:
    """The changes of hosts, with what there is on those that are new. Pure."""

    def one(change: HostChange) -> HostChange:
        there = surveys.get(change.host)
        if there is None or change.how != "new":
            return change
        return replace(
            change,
            existing=there.things,
            ports={key: (there.ports.get(key, was), will) for key, (was, will) in change.ports.items()},
            addresses={key: (there.addresses.get(key, was), will) for key, (was, will) in change.addresses.items()},
        )

    return [one(change) for change in changes]
