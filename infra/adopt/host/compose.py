"""Containers as the catalogue has them: from compose files, and from what Docker says where those are silent. Pure."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

import yaml

from catalogue.compose import once, reading
from catalogue.compose.ports import PortEntry, port_entry
from catalogue.compose.short_forms import whole_size
from catalogue.files import ComposeLoader, parse_yaml
from catalogue.shapes import ComposeBody, ComposeDocument, ServiceFields, is_mapping
from catalogue.sizes import MiB, format_size
from catalogue.stack import Stack
from infra.adopt.host.bodies import inner, is_literal, readable
from infra.adopt.host.documents import Entries, Facts, Unit
from infra.adopt.host.entry import Entry
from infra.adopt.host.images import image_of
from infra.adopt.host.remarks import Remark, unfit, unsaid
from infra.adopt.host.variables import environment

FILE = re.compile(r"docker-compose[A-Za-z0-9_.-]*\.ya?ml")
SIZE = re.compile(r"[0-9]*[1-9][0-9]*[kmg]")
# What a service is called in a file of its own says nothing
NAMELESS = {"api", "app", "web", "server", "service", "main"}
# Drivers of Docker's whose logs stay on the host, as the journal's do
JOURNALED = ("json-file", "local", "journald")
FREE_NETWORK = IPv4Network("172.30.0.0/16")
DEFAULT = "docker-compose.prod.yml"


@dataclass(frozen=True)
class Shared:
    """The network of a host's containers."""

    network: dict[str, str]

    def now(self, entry: Entry) -> str:
        """Where the container is in it; "" where it is not."""
        return entry.networks.get(self.network["name"]) or ""

    def fixed_address(self, entry: Entry, remarks: list[Remark]) -> str | None:
        """The address that its compose file gives the container there; None where Docker chooses it."""
        name = self.network["name"]
        others = [other for other in entry.networks if other != name]
        if others and name in entry.networks:
            text = f"is in {', '.join(others)} too: the catalogue's containers are in {name} alone"
            remarks.append(unsaid(entry.where, text))
        if fixed := inner(entry.body, "networks", name).get("ipv4_address"):
            return str(fixed)
        if not self.now(entry):
            remarks.append(unfit(entry.where, f"its networks are {', '.join(others) or 'none'}: it moves into {name}"))
        return None


def entries(facts: Facts, remarks: list[Remark]) -> list[Entry]:
    """Every service of every compose file that runs, or that a unit would start."""
    all_entries: list[Entry] = []
    remarks += [unsaid(name, text) for name, text in facts.get("unread", {}).items()]
    for path, text in facts["compose"].items():
        unit = _unit_of(facts, path)
        for key, body in _services(path, text, remarks):
            containers = [c for c in facts["containers"] or [] if path in c["files"] and c["key"] == key]
            container = containers[0] if containers else None
            found_faults: list[Remark] = []
            where = Entry(path, key, body, container, unit).where
            entry = Entry(path, key, readable(where, body, found_faults), container, unit)
            if (container and container["running"]) or (unit and unit["enabled"]):
                all_entries.append(entry)
                remarks += found_faults
            else:
                reason = "is not running, and no unit starts it: left out; with retired: true it keeps a repository"
                remarks.append(unfit(entry.where, f"{path}: {reason}"))
    entry_keys = {(entry.path, entry.key) for entry in all_entries}
    for container in facts["containers"] or []:
        if container["running"] and not any((path, container["key"]) in entry_keys for path in container["files"]):
            missing = ", ".join(container["files"])
            remarks.append(unsaid(container["name"], f"runs, and {missing} does not define it (any more): left out"))
    return all_entries


def services_of_files(facts: Facts) -> list[Entry]:
    """Every service of every compose file, whether it runs or not."""
    files = facts["compose"].items()
    services = [(path, key, body) for path, text in files for key, body in _services(path, text, [])]
    return [Entry(path, key, readable(key, body, []), None, None) for path, key, body in services]


def _unit_of(facts: Facts, path: str) -> Unit | None:
    running = [unit for unit in facts["units"] if path in unit["compose"]]
    return next((unit for unit in running if unit["enabled"]), running[0] if running else None)


def _services(path: str, text: str, remarks: list[Remark]) -> Iterator[tuple[str, ComposeBody]]:
    try:
        data: ComposeDocument = parse_yaml(text, ComposeLoader) or {}
        services: dict[str, object] = data.get("services") or {}
        for key, body in services.items():
            if is_mapping(body):
                yield str(key), dict(body)
            else:
                remarks.append(unsaid(path, f"its service {key} cannot be read: left out"))
    except (yaml.YAMLError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        remarks.append(
            unsaid(path, f"cannot be read, perhaps since a secret was masked ({reason}): its services are left out")
        )


def shared_network(facts: Facts, compose_entries: list[Entry], name: str, remarks: list[Remark]) -> Shared:
    """The network that most containers are in, with its unit; one of its own where there is none."""
    networks = {
        network["name"]: (network["name"], subnet, network["gateway"] or "")
        for network in facts["networks"] or []
        if (subnet := network["subnet"]) and _is_ipv4(subnet)
    }
    inside = Counter(name for entry in compose_entries for name in entry.networks if name in networks)
    inside.update(name for entry in compose_entries for name in entry.body.get("networks") or () if name in networks)
    free = (f"{name}-network", str(FREE_NETWORK), str(FREE_NETWORK[1]))
    network_name, subnet, gateway = networks[inside.most_common(1)[0][0]] if inside else free
    if not inside:
        remarks.append(unfit("network", f"the containers share no network: they get {network_name}, {FREE_NETWORK}"))
    unit = network_unit(facts, network_name)
    if unit is None:
        remarks.append(unfit(f"network {network_name}", f"no unit creates it: {network_name}.service will"))
    gateway = gateway if "." in gateway else str(IPv4Network(subnet)[1])
    return Shared(
        {"name": network_name, "subnet": subnet, "gateway": gateway, "unit": unit or f"{network_name}.service"}
    )


def _is_ipv4(subnet: str) -> bool:
    try:
        return bool(IPv4Network(subnet))
    except ValueError:
        return False


def network_unit(facts: Facts, name: str) -> str | None:
    """The unit that makes a network: by a command of its own, or by a compose file that describes it."""
    for unit in facts["units"]:
        described = any(_describes(facts["compose"].get(path, ""), name) for path in unit["compose"])
        if described or re.search(rf"docker network create\b.*\b{re.escape(name)}\b", unit["text"]):
            return unit["name"]
    return None


def _describes(text: str, name: str) -> bool:
    try:
        data = parse_yaml(text, ComposeLoader)
    except yaml.YAMLError:
        return False
    networks = inner({"": data}, "", "networks")
    definitions = [{"name": key, **inner(networks, key)} for key in networks]
    return any(network["name"] == name and not network.get("external") for network in definitions)


def service(entry: Entry, net: Shared, stack: Stack, variables: Entries, remarks: list[Remark]) -> ServiceFields | None:
    """A service of the catalogue, without its routes; None where its image or port is unknown."""
    running = entry.container
    image_name = str(entry.literal_value("image") or (running["image"] if running else ""))
    image = image_of(image_name, entry.where, running["digests"] if running else [], stack, remarks)
    ports = _ports(entry, remarks)
    if image is None:
        return None
    container = entry.where
    name = entry.key if entry.key not in NAMELESS else container
    folder, file = entry.path.rsplit("/", 1)
    if not FILE.fullmatch(file):
        remarks.append(unfit(entry.path, f"is called {file}: the program writes {DEFAULT} beside it"))
    if not entry.unit:
        remarks.append(unfit(entry.where, f"no unit runs {entry.path}: {name}.service will"))
    address = net.fixed_address(entry, remarks)
    return {
        "name": name, "kind": "compose", "image": image, "container": container, **ports,
        **({"address": address} if address else {}), "memory": _memory(entry, remarks), "directory": folder,
        "compose_file": file if FILE.fullmatch(file) else DEFAULT, "compose_key": entry.key,
        "unit": entry.unit["name"] if entry.unit else f"{name}.service",
        **environment(entry, name, variables, remarks), **_options(entry, folder, remarks),
    }  # fmt: skip


def _options(entry: Entry, folder: str, remarks: list[Remark]) -> ServiceFields:
    """What its file says of the container itself, and how its health is asked where that is no address."""
    reasons: list[tuple[str, str]] = []
    body = {key: value for key, value in entry.body.items() if is_literal(key, value, reasons)}
    options = reading.options(body, folder, entry.container.get("volumes", {}) if entry.container else {}, reasons)
    checked = None if health(entry) else reading.health(body, reasons)
    remarks += [unsaid(entry.where, f"its {key}: {reason}") for key, reason in reasons]
    remarks += _of_its_unit(entry)
    return {**options, **({"health": checked} if checked else {}), **_waits(entry, remarks)}


def _of_its_unit(entry: Entry) -> list[Remark]:
    """What compose does by itself, and a unit and the journal do from then on."""
    remarks: list[Remark] = []
    if str(entry.literal_value("restart", "")) in ("no", "False"):
        remarks.append(unfit(entry.where, "restart: no: its unit starts it again when it ends"))
    driver = inner(entry.body, "logging").get("driver", "json-file")
    if driver in JOURNALED and entry.body.get("logging"):
        remarks.append(unfit(entry.where, "its logging: the journal has its log, and bounds it"))
    elif entry.body.get("logging"):
        text = f"its logging goes by {driver}: the journal gets it instead; infra:logs sends the journal on"
        remarks.append(unsaid(entry.where, text))
    return remarks


def _waits(entry: Entry, remarks: list[Remark]) -> ServiceFields:
    """The keys that it waits for, which become names once all services have theirs."""
    waits: dict[str, dict[str, str]] = {}
    for key, condition in once.conditions(entry.body).items():
        if condition == "service_completed_successfully":
            remarks.append(
                unsaid(entry.where, f"waits for {key} to end: write its command under release of this service")
            )
        else:
            waits[key] = {"condition": condition}
    return {"depends_on": waits} if waits else {}


def _published_ports(entry: Entry) -> list[PortEntry]:
    declared_ports = [port_entry(port) for port in entry.literal_value("ports", [])]
    # Docker chose the port of the host where there is none
    observed_ports = [port for port in entry.container["ports"] if port[1]] if entry.container else []
    return declared_ports or [
        PortEntry(str(a), str(b), str(c), str((*kind, "tcp")[0])) for a, b, c, *kind in observed_ports
    ]


def _ports(entry: Entry, remarks: list[Remark]) -> ServiceFields:
    """`port` and, where its program listens on another one, `container_port`, for the first that the proxy can lead to;
    `publish` for those that the world reaches beside it."""
    ports = _published_ports(entry)
    first = _proxied_port(ports)
    fields: ServiceFields = {}
    if first:
        fields = {"port": int(first.outside)}
        if first.inside != first.outside:
            fields["container_port"] = int(first.inside)
        if not first.is_on_loopback:
            reason = (
                f"publishes {first.outside} to the world: on 127.0.0.1 from then on; publish: [{first.text}] keeps it"
            )
            remarks.append(unfit(entry.where, reason))
    # One of either family of addresses is the same port
    others = {(port.outside, port.protocol): port for port in reversed(ports)}
    if first:
        others.pop((first.outside, first.protocol), None)
    others_left = list(reversed(others.values()))
    if narrow := [f"{port.address}:{port.text}" for port in others_left if not port.is_everywhere]:
        text = f"publishes {', '.join(narrow)} too: the catalogue has one port of its host"
        remarks.append(unsaid(entry.where, f"{text}, {fields.get('port', 'for TCP')}, and those of the world"))
    world = [port for port in others_left if port.is_everywhere]
    if unreadable := [port.text for port in world if port.publish_entry is None]:
        reason = f"publishes {', '.join(unreadable)}, which the catalogue cannot say: left out"
        remarks.append(unsaid(entry.where, reason))
    if publish := [port.text for port in world if port.publish_entry]:
        fields["publish"] = publish
    return fields


def _proxied_port(ports: list[PortEntry]) -> PortEntry | None:
    """What its host's proxy can lead to: one of loopback alone, where there is one."""
    single = [port for port in ports if port.is_single and port.protocol == "tcp"]
    return next((port for port in single if port.is_on_loopback), single[0] if single else None)


def host_port(entry: Entry) -> int | None:
    """Where the proxy finds it."""
    first = _proxied_port(_published_ports(entry))
    return int(first.outside) if first else None


def _memory(entry: Entry, remarks: list[Remark]) -> dict[str, str]:
    used, limited = (entry.container["memory"], entry.container["limit"]) if entry.container else (0, 0)
    observed = {"observed": f"{-(-used // MiB)}m"} if used else {}
    declared = str(whole_size(reading.memory_limit(entry.body)))
    limit = declared if SIZE.fullmatch(declared) else format_size(limited) if limited else None
    if limit is None:
        # Twice of what it uses, in steps that people write
        limit = f"{max(256, -(-used * 2 // (64 * MiB)) * 64)}m"
        remarks.append(unfit(entry.where, f"has no memory limit: it gets {limit}"))
    return {"limit": limit, **observed}


def health(entry: Entry) -> str | None:
    """The path that its health check asks."""
    test = str(inner(entry.body, "healthcheck").get("test", ""))
    match = re.search(r"https?://[^\s/\"']+(/[^\s\"'\],|?#]*)", test)
    return match[1] if match else next(iter(entry.container["health"] if entry.container else []), None)


def purpose(entry: Entry, alone: bool) -> str | None:
    """Its unit's description, where that is of nothing else."""
    match = re.search(r"^Description=(.+)$", entry.unit["text"] if entry.unit else "", re.MULTILINE)
    return match[1].strip() if match and alone else None
