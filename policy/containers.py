"""Rules for what containers may reach of their host, in compose files and in commands of units."""

import re
import shlex
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from posixpath import dirname, join, normpath
from typing import Any

import yaml

from catalogue.compose.container import ADDED, PLAIN_DEVICE
from catalogue.compose.values import has_sockets
from catalogue.files import ComposeLoader, parse_yaml
from catalogue.networks import is_between_hosts
from catalogue.parts import UNKNOWN
from catalogue.rules.containers import READABLE
from catalogue.rules.contents import ROOTS
from catalogue.rules.hosts_own import OF_THE_HOST
from catalogue.shapes import mapping_or_empty
from catalogue.systemd.parsing import assignments
from policy.facts import Facts, Finding, files_ending
from rendering.groups import ASKER_MOUNT

# The way to a service that runs apart from its system: at its host's private address
PRIVATE = "private-port"
LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|\[::1\]):")
UNCONFINED = [
    f"{what}={how}" for what in ("seccomp", "apparmor", "label", "systempaths") for how in ("unconfined", "disable")
]
# A variable with a default, whose value is the group
DEFAULT = re.compile(r"\$\{\w+:?-([^{}$]*)\}")
HERE = re.compile(r"^\$(?:PWD\b|\{PWD\})")
VARIABLE = re.compile(r"\$(?:\{[^{}]*\}|\w+)")
# The host path in a mount's short form: a variable may have colons
SOURCE = re.compile(r"(?:\$\{[^{}]*\}|[^:])*")
# Devices that give no access to a disk or to memory
NO_DISK = re.compile(r"/dev/(?:null|zero|full|random|urandom)")
RUNNERS = ("docker", "podman", "podman-remote", "nerdctl", "docker-compose", "podman-compose")
STARTS = ("run", "create")
# Global options without a value, before the subcommand
SWITCHES = ("-D", "--debug", "--tls", "--tlsverify", "--remote", "--dry-run", "--compatibility", "--verbose")
# In a shell's text: separators of commands, command substitutions, redirections
ENDS = ";&|()`\n"
INNER = re.compile(r"\$*\(([^()]*)\)|`([^`]*)`")
REDIRECTED = re.compile(r"\d*[<>]&\d*-?|&>+")
# Namespaces of the host that a container can share, as compose and `docker run` name them
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
SHORT_FLAGS = "ditPTq"
UNIT_ENDINGS = (".service", ".socket", ".timer", ".conf")


def ports(facts: Facts) -> Iterator[Finding]:
    """A container's ports are bound to loopback, so that clients reach it through the proxy and the firewall only.
    Docker opens the firewall for any other address, and the host's network bypasses both."""
    for host, path, text in files_ending(facts, (".yml", ".yaml", ".json")):
        try:
            parsed = mapping_or_empty(parse_yaml(text, ComposeLoader))
        except yaml.YAMLError as error:
            if re.search(r"^\s*[\"']?services[\"']?\s*:", text, re.MULTILINE):
                fault = f"cannot be read: {str(error).splitlines()[0]}"
                yield Finding("loopback", f"{host}:{path}", fault, "write plain YAML, without !override and !reset")
            continue
        services = mapping_or_empty(parsed.get("services"))
        place = f"{host}:{path}"
        for fault, rule in _of_project(path, parsed):
            yield Finding("loopback", place, fault, rule)
        for service, body in services.items():
            allowed = facts.exceptions.get(f"{place} {service}", {})
            for name, fault in _exposures(service, mapping_or_empty(body)):
                if name not in allowed and not (name == PRIVATE and "public-ports" in allowed):
                    yield Finding("loopback", place, fault, "publish 127.0.0.1:PORT:PORT, in a network of the project")
            for name, fault in _beyond(path, service, mapping_or_empty(body)):
                if name not in allowed:
                    rule = f"remove it, or allow it in the catalogue with its reason: exceptions: {{{name}: REASON}}"
                    yield Finding("container-reach", place, fault, rule)
    for host, path, text in files_ending(facts, UNIT_ENDINGS):
        for section, name, value in assignments(text):
            if section == "Service" and name.startswith("Exec"):
                for fault in _exposures_of_command(value):
                    rule = "publish with -p 127.0.0.1:PORT:PORT, and mount only the product's own data"
                    yield Finding("loopback", f"{host}:{path}", fault, rule)


def exceptions(facts: Facts) -> Iterator[Finding]:
    """Every exception that the catalogue grants a container is listed as a warning, each time."""
    for place, allowed in facts.exceptions.items():
        for name, reason in [item for item in allowed.items() if item[0] != PRIVATE]:
            yield Finding(
                "exception", place.rpartition(" ")[0], f"{name}: {reason}", "remove it once it is not needed", "warning"
            )


def _of_project(path: str, parsed: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Fault and remedy for the top-level parts of a compose file: networks, volumes, secrets, configs, includes."""
    for name, definition in mapping_or_empty(parsed.get("networks")).items():
        network = mapping_or_empty(definition)
        external = network.get("external")
        options = " ".join(map(str, mapping_or_empty(network.get("driver_opts")).values()))
        network_name = mapping_or_empty(external).get("name") or network.get("name", name)
        if (
            (external and _can_be(network_name, "host"))
            or _can_be(network.get("driver"), *OUTSIDE)
            or re.search(r"\b(routed|nat-unprotected)\b", options)
        ):
            yield f"network {name} is the host's, or bypasses the host's firewall", "use a network of the project"
    for name, definition in mapping_or_empty(parsed.get("volumes")).items():
        driver_options = mapping_or_empty(mapping_or_empty(definition).get("driver_opts"))
        if _reaches_sockets(_place(path, driver_options.get("device"))):
            yield f"volume {name} is a host directory with the host's sockets", "use a volume of the project"
    for kind in ("secrets", "configs"):
        for name, definition in mapping_or_empty(parsed.get(kind)).items():
            file = str(mapping_or_empty(definition).get("file") or "")
            place = _place(path, file)
            if DEFAULT.sub(r"\1", file).startswith("/") or _reaches_sockets(place) or _is_hosts_own(place):
                yield f"{kind} {name} is a file of the host", "use a file beside the compose file"
    elsewhere = [
        name for name, body in mapping_or_empty(parsed.get("services")).items() if "extends" in mapping_or_empty(body)
    ]
    if parsed.get("include") or elsewhere:
        yield "it includes or extends another file, which is not checked", "write everything in one file"


def _can_be(value: Any, *words: str) -> bool:
    """Whether a value is one of the words, or could become one by a variable in it."""
    pattern = ".*".join(re.escape(part) for part in VARIABLE.split(str(value or "")))
    return any(re.fullmatch(pattern, word) for word in words)


def _source(mount: Any) -> str:
    match = SOURCE.match(str(mount))
    return match[0] if match else ""


def _place(file: str, source: Any) -> str:
    """The path of the host that is mounted, without detours: one may be relative to its file, and a variable has
    what it is without a value. What begins as no path is as it stands."""
    path = HERE.sub(".", DEFAULT.sub(r"\1", str(source or "")))
    if path.startswith("~"):
        path = f"/root{path[1:]}"
    if path.startswith("."):
        path = join(dirname(file), path)
    return "/" + normpath(path).lstrip("/") if path.startswith("/") else path


def _reaches_sockets(place: str) -> bool:
    """Are the host's sockets at a place, or below it; where a variable goes on, any place may follow."""
    fixed, variable, _ = place.partition("$")
    return has_sockets(place) or bool(variable and fixed.startswith("/") and has_sockets(dirname(fixed)))


def _is_hosts_own(place: str, is_read_only: bool = False) -> bool:
    """Is a place the host's own programs' or settings, or a whole tree; a tree alone, where it is only read."""
    if READABLE.fullmatch(place) or _is_plain_device(place):
        return False
    return bool(ROOTS.fullmatch(place) or (not is_read_only and OF_THE_HOST.match(place)))


def _is_plain_device(device: str) -> bool:
    """A device that is no disk and no memory, or all of a kind of these."""
    return any(PLAIN_DEVICE.fullmatch(path) for path in (device, f"{device}/x")) or bool(NO_DISK.fullmatch(device))


def _weak(option: Any) -> bool:
    return _can_be(re.sub(r"^(\w+):(?=\w)", r"\1=", str(option)), *UNCONFINED)


def _is_private(port: str) -> bool:
    """Is a port bound to an address of a private network, or to one that is not known yet."""
    address, _, rest = port.partition(":")
    try:
        return bool(rest) and (address.endswith(UNKNOWN) or is_between_hosts(IPv4Address(address)))
    except ValueError:
        return False


def _exposures(service: str, body: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Name of the exception that would allow it, and the fault, for each published port and the host's network."""
    ports = body.get("ports") or []
    for port in ports if isinstance(ports, list) else [ports]:
        if not LOOPBACK.match(_short_port(port)):
            way = PRIVATE if _is_private(_short_port(port)) else "public-ports"
            yield way, f"port {_short_port(port)} of {service} is not bound to loopback"
    mode = str(body.get("network_mode") or "")
    # A variable may be set to host
    if mode == "host" or "$" in mode:
        yield "host-network", f"{service} uses the host's network (network_mode: {mode})"


def _beyond(path: str, service: str, body: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Name of the exception that would allow it, and the fault, for everything of the host that a container reaches."""
    if body.get("privileged") not in (None, False, "false"):
        yield "privileged", f"{service} is privileged"
    hooks = [*_list(body.get("post_start")), *_list(body.get("pre_stop"))]
    if body.get("use_api_socket") or any(mapping_or_empty(hook).get("privileged") for hook in hooks):
        yield (
            "privileged",
            f"{service} has root rights on the host (use_api_socket, or a privileged hook)",
        )
    for word in HOSTS_OWN:
        if _can_be(body.get(word), "host"):
            yield "host-processes", f"{service} has {word}: {body[word]}"
    for mount in (one for one in _list(body.get("volumes")) if one != ASKER_MOUNT):
        source = mount.get("source") if isinstance(mount, dict) else _source(mount)
        place = _place(path, source)
        if _reaches_sockets(place) or place.startswith("$"):
            yield "docker-socket", f"{service} mounts Docker's socket, or may mount it (volumes: {source})"
        elif _is_hosts_own(place):
            yield "host-paths", f"{service} mounts a host path (volumes: {source})"
    for device in _list(body.get("devices")):
        source = device.get("source") if isinstance(device, dict) else _source(device)
        place = _place(path, source)
        if place.startswith(("/", "$")) and not _is_plain_device(place):
            yield "devices", f"{service} has access to a host device (devices: {source})"
    if wide := [str(name) for name in _list(body.get("cap_add")) if str(name).removeprefix("CAP_") not in ADDED]:
        yield "capabilities", f"{service} has cap_add: {', '.join(wide)}"
    if weak := [str(name) for name in _list(body.get("security_opt")) if _weak(name)]:
        yield "unconfined", f"{service} has security_opt: {', '.join(weak)}"


def _exposures_of_command(command: str) -> Iterator[str]:
    """The faults of each `docker run` in a unit's command."""
    # Most commands of many hosts run no container, and need not be read word by word
    bare = re.sub(r"[\"'\\]", "", command)
    if not all(any(word in bare for word in words) for words in (RUNNERS, STARTS)):
        return
    for words in _commands(command.lstrip("-@:+!|")):
        plain = [word.rsplit("/", 1)[-1] for word in words]
        runner = next((n for n, word in enumerate(plain) if word in RUNNERS), len(words))
        # The command given to `sh -c` is one word
        shell = next((n for n, word in enumerate(plain[:runner]) if word in SHELLS), None)
        for inner in words[shell + 1 :] if shell is not None else []:
            if " " in inner:
                yield from _exposures_of_command(inner)
        verbs = words[runner + 1 :]
        started = next((n for n, word in enumerate(verbs) if word in STARTS), None)
        # The value of an option is not a subcommand
        subcommands = [
            word for word, before in zip(verbs[:started], ["", *verbs], strict=False) if not _has_value(before)
        ]
        if started is not None and not {"exec", "cp"} & set(subcommands):
            is_compose = plain[runner].endswith("-compose") or "compose" in subcommands
            yield from _exposures_of_options(verbs[started + 1 :], is_compose)


def _has_value(option: str) -> bool:
    return option.startswith("-") and "=" not in option and option not in SWITCHES


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each command in a shell's text; a command substitution counts as a command of its own."""
    text, changed = REDIRECTED.sub(" ", text), 1
    inner: list[str] = []
    while changed:
        inner += [match[1] or match[2] or "" for match in INNER.finditer(text)]
        text, changed = INNER.subn("_", text)
    for part in [text, *inner]:
        lexer = shlex.shlex(part, posix=True, punctuation_chars=ENDS)
        lexer.whitespace_split, lexer.commenters, lexer.whitespace = True, "", " \t\r"
        try:
            words = list(lexer)
        except ValueError:
            words = re.findall(rf"[{ENDS}]+|[^\s{ENDS}]+", part)
        ends = [n for n, word in enumerate(words) if not word.strip(ENDS)]
        yield from (words[a + 1 : b] for a, b in zip([-1, *ends], [*ends, len(words)], strict=True))


def _exposures_of_options(words: list[str], is_compose: bool = False) -> Iterator[str]:
    """The faults of the options of `docker run`, up to the image: what follows is the container's own command. Options
    of `docker compose run` end at the service."""
    for option, attached, value in _options(words):
        if option in ("--net", "--network") and {"host", "name=host"} & {*value.split(",")}:
            yield "a container uses the host's network (--network host)"
        if opening := _beyond_by_option(option, attached, value):
            yield opening
        # Ports of a compose file are checked in that file
        if not is_compose and option in ("--publish-all", "-P"):
            yield "all ports of a container are published on every address (-P)"
        if option in ("-p", "--publish") and not LOOPBACK.match(value):
            yield f"port {value} is not bound to loopback"


def _options(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Each option, short ones one by one: its name, the value in the same word, and that value or the next word."""
    number = 0
    while number < len(words) and words[number].startswith("-"):
        word, following = words[number], "".join(words[number + 1 : number + 2])
        number += 1
        if word.startswith("--"):
            option, has_value, attached = word.partition("=")
            takes_next = not has_value and option not in FLAGS
        else:
            letters = word[1:].lstrip(SHORT_FLAGS)
            yield from ((f"-{letter}", "", "") for letter in word[1 : len(word) - len(letters)])
            if not letters or letters.startswith("="):
                continue
            option, has_value = f"-{letters[0]}", letters[1:]
            attached, takes_next = has_value.removeprefix("="), not has_value
        yield option, attached, attached if has_value else following
        number += takes_next


def _beyond_by_option(option: str, attached: str, value: str) -> str:
    """The fault of an option of `docker run` that gives a container access to its host; "" for none."""
    if option in ("--privileged", "--use-api-socket") and attached not in ("false", "0"):
        return f"a container has root rights on the host ({option})"
    if option.removeprefix("--") in HOSTS_OWN and value == "host":
        return f"a container shares a namespace of the host ({option} host)"
    if option == "--cap-add" and value.upper().removeprefix("CAP_") not in ADDED:
        return f"a container has an extra capability (--cap-add {value})"
    if option == "--security-opt" and _weak(value):
        return f"a container is unconfined (--security-opt {value})"
    if option in ("-v", "--volume", "--mount"):
        parts = (part.partition("=") for part in value.split(","))
        options = {name: of for name, _, of in parts}
        source = (options.get("source") or options.get("src") or "") if option == "--mount" else _source(value)
        # The unit's working directory is unknown: a path with .. may lead to the root
        place = _place("/", source) if source.startswith(("/", "..", "~", "$")) else ""
        if _reaches_sockets(place):
            return f"a container mounts the host's sockets ({option} {source})"
        is_read_only = option != "--mount" and bool(re.search(r":(?:\w+,)*ro(?:,|$)", value))
        if _is_hosts_own(
            place, is_read_only or options.get("readonly", options.get("ro", "false")) not in ("false", "0")
        ):
            return f"a container mounts a host path ({option} {source})"
    if option == "--device" and value.startswith("/") and not _is_plain_device(_place("/", _source(value))):
        return f"a container has access to a host device ({option} {value})"
    return ""


def _short_port(port: Any) -> str:
    """A port as compose's short form has it."""
    if isinstance(port, dict):
        address = str(port.get("host_ip", ""))
        address = f"[{address}]" if ":" in address else address
        return f"{address}:{port.get('published', '')}:{port.get('target', '')}".lstrip(":")
    return str(port)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []
