"""What containers reach of their host: by a compose file, and by a command of a unit."""

import re
import shlex
from collections.abc import Iterator
from posixpath import normpath
from typing import Any

import yaml

from catalogue.compose.container import ADDED
from catalogue.compose.values import has_sockets
from catalogue.files import ComposeLoader, parse_yaml
from catalogue.systemd.parsing import assignments
from policy.facts import Facts, Finding, files_ending

LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|\[::1\]):")
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
UNIT_ENDINGS = (".service", ".socket", ".timer", ".conf")


def ports(facts: Facts) -> Iterator[Finding]:
    """A container answers its host only: the proxy and the firewall stand before it. Docker opens the firewall for any
    other address, and in the host's own network there is nothing between."""
    for host, path, text in files_ending(facts, (".yml", ".yaml", ".json")):
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
    for host, path, text in files_ending(facts, UNIT_ENDINGS):
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
