"""The rules about the files that hosts get."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from posixpath import normpath
from typing import Any

import yaml

from catalogue.compose.container import ADDED
from catalogue.compose.values import has_sockets
from catalogue.files import ComposeLoader, parse_yaml
from catalogue.masking import MARK, looks_secret, masked
from catalogue.masking.names import SHAPES
from catalogue.systemd.parsing import assignments
from policy.facts import Facts, Finding

LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|\[::1\]):")
ASSIGNED = re.compile(r"(?:export )?([\w.-]+)=")
# A preview's mark in place of a secret
HIDDEN = re.compile(rf"\[secret [^\]]*\]|{MARK}\w*")
# Folders of what sites serve: everyone reads it, and its programs only name secrets
PUBLISHED = "/var/www/"
UNCONFINED = re.compile(r"(?:seccomp|apparmor|label|systempaths)[=:](?:unconfined|disable)")
RUNNERS = ("docker", "podman", "podman-remote", "nerdctl")
# What of the host a container can share, as compose and `docker run` name it
HOSTS_OWN = ("pid", "ipc", "uts", "userns", "userns_mode", "cgroup", "cgroupns")
# Drivers of networks in which a container has an address of its own on the host's network
OUTSIDE = ("host", "macvlan", "ipvlan")
SHELLS = ("sh", "bash", "dash", "env")
# Options of `docker run` that take no value
FLAGS = {
    "--rm", "--init", "--detach", "--interactive", "--tty", "--privileged", "--read-only", "--publish-all",
    "--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--quiet", "--use-api-socket", "--no-deps", "--build",
    "--service-ports", "--use-aliases", "--no-TTY", "--quiet-pull", "--remove-orphans", "--disable-content-trust",
}  # fmt: skip
YES = ("yes", "true", "on", "1", "y", "t")
# Directives whose values add up
LISTS = {
    "CapabilityBoundingSet",
    "ReadWritePaths",
    "RestrictAddressFamilies",
    "SystemCallArchitectures",
    "SystemCallFilter",
}
STRICTER = {("ProtectSystem", "full"): ("strict",), ("ProtectHome", "read-only"): ("yes", "true", "on", "1", "tmpfs")}
UNIT_ENDINGS = (".service", ".socket", ".timer", ".conf")


def plain_secrets(facts: Facts) -> Iterator[Finding]:
    """A secret in the catalogue is in git, for good: whatever file it is rendered into."""
    reported: set[tuple[str, str]] = set()
    for place, names in facts.plain.items():
        for name in names:
            if looks_secret(name):
                reported.add((place, name))
                yield _plain_secret(place, name)
    for host, files in facts.files.items():
        for path, text in files.items():
            place = f"{host}:{path}"
            plain = facts.plain.get(place)
            for line in _masked(path, text).splitlines():
                if not HIDDEN.search(line):
                    continue
                name = ASSIGNED.match(line)
                # An environment file has the marks of its secrets, whose values come with the release
                if plain is not None and not (name and name[1] in plain):
                    continue
                what = name[1] if name and plain is not None else HIDDEN.sub("…", line.strip())
                if (place, what) not in reported:
                    reported.add((place, what))
                    yield _plain_secret(place, what)


def _masked(path: str, text: str) -> str:
    if not path.startswith(PUBLISHED):
        return masked(path, text)
    for shape in SHAPES:
        text = shape.sub(MARK, text)
    return text


def _plain_secret(place: str, what: str) -> Finding:
    rule = "name it under secrets:, its value with infra secret set, and replace this one: it is in git"
    return Finding("plain-secret", place, f"{what} is in plain text in the catalogue", rule)


def ports(facts: Facts) -> Iterator[Finding]:
    """A container answers its host only: the proxy and the firewall stand before it. Docker opens the firewall for any
    other address, and in the host's own network there is nothing between."""
    for host, path, text in _files(facts, (".yml", ".yaml", ".json")):
        try:
            parsed = _mapping(parse_yaml(text, ComposeLoader))
        except yaml.YAMLError as error:
            if re.search(r"^\s*[\"']?services[\"']?\s*:", text, re.MULTILINE):
                found = f"cannot be read: {str(error).splitlines()[0]}"
                yield Finding("loopback", f"{host}:{path}", found, "plain YAML, without !override and !reset")
            continue
        services = _mapping(parsed.get("services"))
        place = f"{host}:{path}"
        for found, rule in _of_project(parsed):
            yield Finding("loopback", place, found, rule)
        for service, body in services.items():
            allowed = facts.exceptions.get(f"{place} {service}", {})
            for name, found in _exposed(service, _mapping(body)):
                if name not in allowed:
                    yield Finding("loopback", place, found, "127.0.0.1:PORT:PORT, in a network of the project's")
            for name, found in _beyond(service, _mapping(body)):
                if name not in allowed:
                    rule = f"without it, or exceptions: {{{name}: why it has to}} in the catalogue"
                    yield Finding("container-reach", place, found, rule)
    for host, path, text in _files(facts, UNIT_ENDINGS):
        for section, name, value in assignments(text):
            if section == "Service" and name.startswith("Exec"):
                for found in _exposed_by_command(value):
                    rule = "-p 127.0.0.1:PORT:PORT, and no more of the host than the product's own data"
                    yield Finding("loopback", f"{host}:{path}", found, rule)


def exceptions(facts: Facts) -> Iterator[Finding]:
    """What the catalogue lets a container reach beyond its network and its product's data is shown each time."""
    for place, allowed in facts.exceptions.items():
        for name, said in allowed.items():
            yield Finding(
                "exception", place.rpartition(" ")[0], f"{name}: {said}", "remove it once it is not needed", "warning"
            )


def _of_project(parsed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a compose file as a whole opens, and what should be there."""
    for name, given in _mapping(parsed.get("networks")).items():
        network = _mapping(given)
        external, options = network.get("external"), " ".join(map(str, _mapping(network.get("driver_opts")).values()))
        named = _mapping(external).get("name") or network.get("name", name)
        if (
            (named == "host" and external)
            or network.get("driver") in OUTSIDE
            or re.search(r"\b(routed|nat-unprotected)\b", options)
        ):
            yield f"network {name} is the host's own, or reached past the host's firewall", "a network of the project's"
    for name, given in _mapping(parsed.get("volumes")).items():
        if has_sockets(_way(_mapping(_mapping(given).get("driver_opts")).get("device"))):
            yield f"volume {name} is a place of the host's with its sockets", "a volume of the project's"
    for kind in ("secrets", "configs"):
        for name, given in _mapping(parsed.get(kind)).items():
            if str(_mapping(given).get("file") or "").startswith("/"):
                yield f"{kind} {name} is a file of the host's", "a file beside the compose file"
    elsewhere = [name for name, body in _mapping(parsed.get("services")).items() if "extends" in _mapping(body)]
    if parsed.get("include") or elsewhere:
        yield "it includes or extends another file, which is not looked into", "one file that says all"


def _way(path: Any) -> str:
    return normpath(str(path)) if path else ""


def _exposed(service: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The exception that each needs, and what is open."""
    given = body.get("ports") or []
    for port in given if isinstance(given, list) else [given]:
        if not LOOPBACK.match(_published(port)):
            yield "public-ports", f"port {_published(port)} of {service} is bound off loopback"
    mode = str(body.get("network_mode") or "")
    # A variable can become it
    if mode == "host" or "$" in mode:
        yield "host-network", f"{service} is in the host's own network (network_mode: {mode})"


def _beyond(service: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The exception that each needs, and what of the host a container reaches by it."""
    if body.get("privileged") not in (None, False, "false"):
        yield "privileged", f"{service} is privileged"
    if body.get("use_api_socket") or any(_mapping(hook).get("privileged") for hook in _list(body.get("post_start"))):
        yield "privileged", f"{service} has Docker's own rights (use_api_socket, or a privileged post_start)"
    for word in HOSTS_OWN:
        if str(body.get(word) or "") == "host":
            yield "host-processes", f"{service} has {word}: host"
    for mount in _list(body.get("volumes")):
        source = mount.get("source") if isinstance(mount, dict) else str(mount).split(":")[0]
        if str(source).startswith("/") and has_sockets(_way(source)):
            yield "docker-socket", f"{service} has Docker's socket"
    if wide := [str(name) for name in _list(body.get("cap_add")) if str(name).removeprefix("CAP_") not in ADDED]:
        yield "capabilities", f"{service} has cap_add: {', '.join(wide)}"
    if weak := [str(name) for name in _list(body.get("security_opt")) if UNCONFINED.fullmatch(str(name))]:
        yield "unconfined", f"{service} has security_opt: {', '.join(weak)}"


def _exposed_by_command(command: str) -> Iterator[str]:
    """What a `docker run` in a unit opens."""
    try:
        words = shlex.split(command.lstrip("-@:+!|"))
    except ValueError:
        words = command.split()
    # A shell's command is one word
    for inner in words[1:] if words and words[0].rsplit("/", 1)[-1] in SHELLS else []:
        if " " in inner:
            yield from _exposed_by_command(inner)
    runner = next((n for n, word in enumerate(words) if word.rsplit("/", 1)[-1] in RUNNERS), None)
    verbs = words[runner + 1 :] if runner is not None else []
    started = next((n for n, word in enumerate(verbs) if word in ("run", "create")), None)
    if started is None or {"exec", "cp"} & set(verbs[:started]):
        return
    yield from _exposed_by_options(verbs[started + 1 :], is_compose="compose" in verbs[:started])


def _exposed_by_options(words: list[str], is_compose: bool = False) -> Iterator[str]:
    """Of the options of `docker run`, up to the image: what follows it is the container's own. Those of `docker compose
    run` come before the service."""
    number = 0
    while number < len(words) and words[number].startswith("-"):
        option, has_value, given = words[number].partition("=")
        short = re.fullmatch(r"-[a-zA-Z]*?p(.*)", option) if not option.startswith("--") else None
        following = words[number + 1] if number + 1 < len(words) else ""
        value = given if has_value else following
        if short:
            value = short[1] + (f"={given}" if has_value else "") or following
        if option in ("--net", "--network") and {"host", "name=host"} & {*value.split(",")}:
            yield "a container is in the host's own network (--network host)"
        if found := _beyond_by_option(option, given, value):
            yield found
        # Those of a compose file are looked at in it
        if not is_compose and (option == "--publish-all" or re.fullmatch(r"-[a-zA-Z]*P[a-zA-Z]*", option)):
            yield "all ports of a container are bound off loopback (-P)"
        if (short or option == "--publish") and not LOOPBACK.match(value):
            yield f"port {value} is bound off loopback"
        takes_next = (
            not has_value
            and not (short and short[1])
            and option not in FLAGS
            and not re.fullmatch(r"-[ditTP]+", option)
        )
        number += 2 if takes_next else 1


def _beyond_by_option(option: str, given: str, value: str) -> str:
    """What of the host an option of `docker run` gives to a container; "" for nothing."""
    if option in ("--privileged", "--use-api-socket") and given not in ("false", "0"):
        return f"a container has the host's own rights ({option})"
    if option.removeprefix("--") in HOSTS_OWN and value == "host":
        return f"a container is among the host's own processes ({option} host)"
    if option == "--cap-add" and value.upper().removeprefix("CAP_") not in ADDED:
        return f"a container has a right of the host's (--cap-add {value})"
    if option == "--security-opt" and UNCONFINED.fullmatch(value):
        return f"a container is unconfined (--security-opt {value})"
    if option in ("-v", "--volume", "--mount"):
        parts = (part.partition("=") for part in value.split(","))
        named = {name: of for name, _, of in parts}
        source = (named.get("source") or named.get("src") or "") if option == "--mount" else value.split(":")[0]
        if source.startswith("/") and has_sockets(_way(source)):
            return f"a container has the host's sockets ({option} {source})"
    return ""


def _published(port: Any) -> str:
    """A port as compose's short form has it."""
    if isinstance(port, dict):
        address = str(port.get("host_ip", ""))
        address = f"[{address}]" if ":" in address else address
        return f"{address}:{port.get('published', '')}:{port.get('target', '')}".lstrip(":")
    return str(port)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def hardening(facts: Facts) -> Iterator[Finding]:
    """A unit keeps what its document gives it."""
    for host, path, text in _files(facts, (".service",)):
        name = path.rsplit("/", 1)[1]
        wanted = documented().get(name)
        if wanted is None:
            continue
        texts = [text, *(text for _, text in sorted(_drop_ins(facts, host, path)))]
        in_force = _in_force(texts)
        missing = [line for line in wanted["directives"] if not _is_kept(line, in_force)]
        outside = [
            v for name in in_force if name.startswith("Exec") for v in in_force[name] if re.match(r"[-@:]*[+!]", v)
        ]
        if missing or outside:
            found = f"without {', '.join([*missing, *(f'any protection of {value}' for value in outside)])}"
            yield Finding("hardening", f"{host}:{path}", found, f"its document gives it ({wanted['document']})")


def _drop_ins(facts: Facts, host: str, unit_path: str) -> Iterator[tuple[str, str]]:
    """File name and text of every drop-in of a unit; systemd reads them in the order of their names."""
    folder, _, unit = unit_path.rpartition("/")
    manager = _manager(folder)
    names = drop_in_folders(unit)
    for of, path, text in _files(facts, (".conf",)):
        parent, _, name = path.rpartition("/")
        above, _, last = parent.rpartition("/")
        if of == host and last in names and _manager(above) == manager:
            yield name, text


def _manager(folder: str) -> str:
    """Which manager reads a folder: the host's, every user's, or one account's."""
    found = re.search(r"/systemd/(system|user)(\.\w+)?$", folder)
    return found[1] if found else folder


def drop_in_folders(unit: str) -> set[str]:
    """`a-b.service` has drop-ins in a-b.service.d, a-.service.d and service.d; `a@1.service` in a@.service.d too."""
    stem, _, kind = unit.rpartition(".")
    parts = stem.split("-")
    prefixes = {"-".join(parts[:count]) + "-" for count in range(1, len(parts))}
    template = {f"{stem.partition('@')[0]}@"} if "@" in stem else set()
    return {f"{kind}.d", *(f"{name}.{kind}.d" for name in {stem, *prefixes, *template})}


def _in_force(texts: list[str]) -> dict[str, list[str]]:
    """Directive of [Service] → its values: they add up until an empty one, as systemd reads lists."""
    found: dict[str, list[str]] = {}
    for text in texts:
        for section, name, value in assignments(text):
            if section == "Service":
                found[name] = [*found.get(name, []), value] if value else []
    return found


def _is_kept(line: str, in_force: dict[str, list[str]]) -> bool:
    """Does a documented directive hold: the last value counts, and of a list that nothing was added to it."""
    name, _, wanted = line.partition("=")
    values = in_force.get(name, [])
    if name in LISTS:
        return set(wanted.split()) == {word for value in values for word in value.split()}
    last = values[-1] if values else ""
    if wanted.lower() in YES:
        return last.lower() in YES
    return last == wanted or last in STRICTER.get((name, wanted), ())


def _files(facts: Facts, endings: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for host, files in facts.files.items():
        for path, text in files.items():
            if path.endswith(endings):
                yield host, path, text


@cache
def documented() -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / "hardening.yaml").read_text(encoding="utf-8"))
