"""A compose file of a product's makers, as it is, with what is a stack's own beside it, service by service. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from posixpath import dirname, normpath
from typing import Any

from catalogue.compose import once, reading
from catalogue.compose.configs import config_files
from catalogue.compose.fields import ConditionFields, FileFields, ImageField, MemoryField, StepFields, WaitField
from catalogue.compose.images import image_fields
from catalogue.compose.left_out import leave_out, without_extensions
from catalogue.compose.names import project_name
from catalogue.compose.networks import apart, attachments
from catalogue.compose.ports import ports
from catalogue.compose.running import differences, linked_names, links
from catalogue.compose.secret_files import secret_files
from catalogue.compose.short_forms import whole_size
from catalogue.compose.source import ComposeSource
from catalogue.compose.top_level import top_level
from catalogue.compose.values_of import Values, env_files
from catalogue.compose.variables import fill_variables
from catalogue.compose.writing import PLAIN
from catalogue.problems import Problem
from catalogue.shapes import ComposeBody, ServiceFields, is_list, is_mapping

STATIC = "files/static/"
# Of a service: what needs no word here, since it means the same or nothing
SILENT = {
    "expose", "restart", "logging", "pull_policy", "platform", "container_name", "profiles", "configs", "secrets",
    "links",
}  # fmt: skip
# Key of the file → the field of the catalogue that takes its whole place
OVERRIDDEN = {**{name: name for name in (*PLAIN, *reading.READ)}, "healthcheck": "health"}
# The shapes that a key's value has; `environment` and the like are read by themselves
SHAPES: dict[str, tuple[type, ...]] = {
    "environment": (dict, list), "depends_on": (dict, list), "volumes": (list,), "ports": (list,),
    "labels": (dict, list), "networks": (dict, list), "sysctls": (dict, list), "extra_hosts": (dict, list),
    "ulimits": (dict,), "deploy": (dict,), "healthcheck": (dict,), "env_file": (str, list, dict),
}  # fmt: skip


@dataclass
class Upstream:
    """The `compose` field of a system, its `source`. `file` is the compose file; `beside` gives what lies at a path
    relative to it, as text, or None."""

    system: str
    file: str
    source: ComposeSource
    beside: Callable[[str], str | None] = lambda _: None
    problems: list[Problem] = field(default_factory=list[Problem])
    # Containers that run once → the service that they are a release step of
    once: dict[str, str] = field(default_factory=dict[str, str])
    # Services that share no network in the file
    apart: list[str] = field(default_factory=list[str])

    @property
    def variables(self) -> Mapping[str, str]:
        return self.source.variables

    def add(self, where: str, fault: str, allowed: str) -> None:
        self.problems.append(Problem(self.file, where, fault, allowed))

    def services(self, document: Any, own: list[Any]) -> list[Any]:
        """The services of the catalogue: what the file says of each, and over it what the catalogue says. Entries that
        are none of the file's stay as they are."""
        if not is_mapping(document) or not is_mapping(document.get("services")):
            self.add("file", "has no services", "a compose file: services: {NAME: …}")
            return own
        document, absent = leave_out(document, self.source.without)
        for path in absent:
            self.add(f"compose.without: {path}", "is nothing that the file sets", "remove it from the catalogue")
        if not is_mapping(document) or not is_mapping(document.get("services")):
            return own
        for name in [name for name in self.source.step_limits if name not in document["services"]]:
            self.add(f"compose.step_limits: {name}", "is no service of the file", "a container of it that runs once")
        for finding in top_level(document):
            self.add(*finding)
        beside = {key: entry for entry in own if isinstance(key := _key(entry), str)}
        names = {str(key): str(beside[key].get("name")) for key in document["services"] if key in beside}
        by_identity: dict[int, ServiceFields] = {}
        self.once = once.owners({key: _without(body, beside.get(key)) for key, body in document["services"].items()})
        for key, body in document["services"].items():
            if not is_mapping(body):
                self.add(f"service {key}", "is no mapping", "image: … and its options")
            elif key in self.once and key in beside:
                rule = (
                    f"remove the entry: it is a release step of {self.once[key]}, and gets the secrets of that "
                    f"service; for more time than 10m write compose: {{step_limits: {{{key}: 30m}}}}"
                )
                self.add(f"service {key}", "runs once, but is listed in the catalogue", rule)
            elif key in self.once:
                continue
            elif key not in beside and body.get("profiles"):
                # Compose does not start it either, unless it is asked to
                continue
            elif key not in beside:
                rule = f"an entry under services of the catalogue: {{name: {key}, purpose: …, memory: {{limit: …}}}}"
                self.add(f"service {key}", "the catalogue does not list it", rule)
            else:
                by_identity[id(beside[key])] = self._with_steps(str(key), body, beside[key], document, names)
        if document.get("networks") or "networks" not in self.source.without:
            self.apart = list(apart(document["services"], {*names}))
        return [by_identity.get(id(entry), entry) for entry in own]

    def _with_steps(self, key: str, body: Any, own: Any, document: Any, names: Mapping[str, str]) -> ServiceFields:
        whole = self._service(key, body, own, document, names)
        steps: list[StepFields] = []
        depends_on: object = whole.get("depends_on")
        waits = {**depends_on} if is_mapping(depends_on) else {}
        for name in [name for name, owner in self.once.items() if owner == key]:
            step_body = document["services"].get(name)
            if not is_mapping(step_body):
                self.add(f"service {key}: depends_on.{name}", "is no service of the file", "one that is")
                continue
            entry: ServiceFields = {"name": name, "secrets": own.get("secrets"), "memory": {}}
            run_once, _ = leave_out(step_body, ["restart", "healthcheck", "deploy.restart_policy"])
            fields = self._service(name, run_once, entry, document, names)
            step_image, image = (fill_variables(each.get("image"), self.variables) for each in (step_body, body))
            if step_image == image:
                # Another version of the service is one of its migrations too
                fields["image"] = whole.get("image")
            step, differing = once.as_step(name, fields, whole)
            if limit := self.source.step_limits.get(name):
                step["limit"] = limit
            if differing:
                rule = f"the same as of {key}: a release step runs its service's container with another command"
                self.add(f"service {name}", f"runs once, but differs in {', '.join(differing)}", rule)
            steps.append(step)
        for prerequisite, how in once.waits(document["services"], key, self.once).items():
            waits.setdefault(names.get(prerequisite, prerequisite), {"condition": how})
        more: object = own.get("release") or []
        if steps and (is_mapping(more) or is_list(more)):
            whole["release"] = [*steps, *([more] if isinstance(more, dict) else more)]
        return {**whole, "depends_on": waits} if waits else whole

    def _service(
        self,
        key: str,
        upstream_body: ComposeBody,
        own: ServiceFields,
        document: Mapping[str, Any],
        names: Mapping[str, str],
    ) -> ServiceFields:
        where = f"service {key}"
        # As it is written: of a variable inside another one nothing is seen any more once it is filled
        options = self._wanted_options(where, upstream_body, own)
        for name, shapes in SHAPES.items():
            if options.get(name) is not None and not isinstance(options[name], shapes):
                self.add(f"{where}: {name}", f"found {options.pop(name)!r}"[:80], "a value that Compose accepts there")
        body = fill_variables(options, self.variables)
        unsaid: list[tuple[str, str]] = []
        files = self._files(where, body)
        secret_paths, unsaid_secrets = secret_files(document, body, self.beside)
        unsaid += unsaid_secrets
        files += config_files(document, body, self.file.removeprefix(STATIC), self.beside, unsaid)
        values = Values(self.variables, self.beside, self.add)
        secret_names, plain_names = _names(own.get("secrets")), _names(own.get("environment"))
        values.report_plain_secrets(where, options, secret_names | plain_names)
        options |= values.with_files(where, body, options, secret_names | plain_names)
        environment = values.environment(where, options, secret_names)
        values.report_missing(where, {name: value for name, value in options.items() if name != "environment"})
        fields = {
            **self._image(where, body, own), **ports(body, own, unsaid), **self._memory(where, body, own),
            **reading.options(
                {name: value for name, value in body.items() if name not in SILENT}, f"/opt/{self.system}",
                self._volumes(where, body, document), unsaid,
            ),
            **self._waits(where, body, names), "environment": environment,
        }  # fmt: skip
        if files:
            fields["files"] = files
        if secret_paths:
            fields["secret_files"] = secret_paths
        if checked := reading.health(body, unsaid):
            fields["health"] = checked
        elif fields.get("port") or own.get("port"):
            # Which path is healthy the file does not say
            fields["health"] = "tcp"
        aliases, unsaid_networks = attachments(body, "address" in own)
        anyway = {key, str(own.get("name")), str(own.get("container") or own.get("name"))}
        aliases += linked_names(document["services"], key, {*aliases, *anyway})
        if aliases:
            fields["aliases"] = aliases
        unsaid += [*unsaid_networks, *differences(body), *_not_for_us(body)]
        for name, reason in unsaid:
            rule = f"change the file, or ignore the key: without: [{name}] for the service in the catalogue"
            self.add(f"{where}: {name}", reason, rule)
        laid = ("without", "environment", *(["image"] if "image" in fields else []))
        rest = {name: value for name, value in own.items() if name not in laid}
        extra: object = own.get("environment") or {}
        # Of another shape it is reported where all fields are
        plain = {**environment, **extra} if is_mapping(extra) else extra
        whole = {"kind": "compose", "compose_key": key, **fields, **rest, "environment": plain}
        if whole.get("container_port") == whole.get("port"):
            whole.pop("container_port", None)
        return whole

    def _wanted_options(self, where: str, upstream_body: ComposeBody, own: ServiceFields) -> ComposeBody:
        """What the file says of a service, without what the catalogue leaves out of it."""
        without: Any = own.get("without") or []
        if not is_list(without) or not all(isinstance(name, str) for name in without):
            self.add(where, f"without: found {without!r}"[:80], "a list of keys of the file, such as without: [build]")
            without = []
        options, absent = leave_out(without_extensions(upstream_body), without)
        for name in absent:
            self.add(where, f"without: [{name}], which the file does not set for it", "remove it from the catalogue")
        # What the catalogue has itself takes the place of the file's
        return {name: value for name, value in options.items() if name not in OVERRIDDEN or OVERRIDDEN[name] not in own}

    def _files(self, where: str, body: ComposeBody) -> list[FileFields]:
        """Mounts of files that lie beside the compose file: they come with the release."""
        mounts: list[Any] = []
        files: list[FileFields] = []
        volumes: list[Any] = body.get("volumes") or []
        for item in volumes:
            parts = reading.mount_parts(item)
            source, target = str(parts.get("source") or ""), str(parts.get("target") or "")
            path = normpath(source)
            if not source.startswith(".") or path.startswith("..") or path == ".":
                mounts.append(item)
            elif self.beside(path) is not None:
                files.append({"path": target, "source": normpath(f"{dirname(self.file.removeprefix(STATIC))}/{path}")})
            elif "." in path.rsplit("/", 1)[-1].lstrip("."):
                rule = f"create the file beside {self.file}; a directory's name has no extension"
                self.add(
                    f"{where}: volumes", f"{source} does not exist: Docker would create a directory with its name", rule
                )
            else:
                mounts.append(item)
        if body.get("volumes") is not None:
            body["volumes"] = mounts
        return files

    def _image(self, where: str, body: Mapping[str, Any], own: Mapping[str, Any]) -> ImageField:
        theirs, ours = image_fields(str(body.get("image") or "")), own.get("image")
        if is_mapping(ours) and theirs and "repository" not in ours:
            # Another version of theirs
            return {"image": {"repository": theirs["repository"], **ours}}
        if "image" in own:
            return {}
        image = theirs
        if image is None:
            self.add(f"{where}: image", "names no image", "image: {repository: …, tag: …} in the catalogue")
            return {}
        return {"image": image}

    def _memory(self, where: str, body: Mapping[str, Any], own: Mapping[str, Any]) -> MemoryField:
        limit = reading.memory_limit(body)
        if "memory" in own or limit is None:
            return {}
        size = whole_size(limit)
        if not re.fullmatch(r"[0-9]*[1-9][0-9]*[kmg]", str(size)):
            self.add(f"{where}: mem_limit", f"found {limit!r}", "memory: {limit: 512m} in the catalogue")
            return {}
        return {"memory": {"limit": size}}

    def _waits(self, where: str, body: Mapping[str, Any], names: Mapping[str, str]) -> WaitField:
        depends_on: Any = body.get("depends_on") or {}
        needs: Mapping[str, object] = depends_on if is_mapping(depends_on) else {str(key): {} for key in depends_on}
        needs = {**{key: {} for key in links(body)}, **needs}
        waits: dict[str, ConditionFields] = {}
        for key, need in needs.items():
            condition = need.get("condition", "service_started") if is_mapping(need) else "service_started"
            options: Mapping[str, object] = need if is_mapping(need) else {}
            for name, value in options.items():
                if name not in ("condition", "required") and value not in (None, False) and not name.startswith("x-"):
                    place = f"depends_on.{key}.{name}"
                    rule = f"a service must reconnect by itself: without: [{place}] for the service in the catalogue"
                    self.add(f"{where}: {place}", "is not understood", rule)
            if options.get("required") is False and key not in names:
                continue
            # One that runs once has ended before anything is started
            if key not in self.once:
                waits[names.get(key, key)] = {"condition": condition}
        return {"depends_on": waits} if waits else {}

    def _volumes(self, where: str, body: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, str]:
        """Target → Docker's name of a named volume: the file's own, or as Compose would call it after its project."""
        volumes: object = document.get("volumes")
        project = project_name(str(document.get("name") or self.system))
        names_by_target: dict[str, str] = {}
        mounts: list[Any] = body.get("volumes") or []
        for item in mounts:
            parts = reading.mount_parts(item)
            source, target = str(parts.get("source") or ""), str(parts.get("target") or "").rstrip("/")
            if not source or not target or source.startswith((".", "/", "~")) or parts.get("type") in ("bind", "tmpfs"):
                continue
            if not is_mapping(volumes) or source not in volumes:
                self.add(
                    f"{where}: volumes",
                    f"the file does not define the volume {source}",
                    f"volumes: {{{source}: }} at its top level",
                )
                continue
            definition: object = volumes[source]
            external = definition.get("external") if is_mapping(definition) else None
            name = definition.get("name") if is_mapping(definition) else None
            if is_mapping(external):
                name = name or external.get("name")
            names_by_target[target] = str(name or (source if external else f"{project}_{source}"))
        return names_by_target


def _key(entry: Any) -> Any:
    """The service of the file that an entry of the catalogue is about."""
    return (entry.get("compose_key") or entry.get("name")) if is_mapping(entry) else None


def _without(body: Any, own: Any) -> Any:
    """A service of the file as far as the catalogue takes it."""
    paths = own.get("without") if is_mapping(own) else None
    if not is_mapping(body) or not is_list(paths):
        return body
    return leave_out(body, [path for path in paths if isinstance(path, str)])[0]


def _names(value: Any) -> set[str]:
    """Names of a list, or of a mapping; of what is neither, none."""
    return {str(name) for name in value} if is_list(value) or is_mapping(value) else set()


def _not_for_us(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What has a place in the catalogue, but not as the file says it."""
    unsupported: list[tuple[str, str]] = []
    if paths := env_files(body):
        reason = (
            f"{', '.join(paths)} does not exist beside the compose file: put it there, or name its variables in "
            "the catalogue, secret ones under secrets (infra secret import)"
        )
        unsupported.append(("env_file", reason))
    return unsupported
