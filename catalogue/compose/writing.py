"""The body of a service in a compose file, out of what the catalogue says of its container. Pure. Compose of either
generation (1.27 and later, 2) takes what is written here."""

from typing import Any, TypeVar, cast

from catalogue.compose.bodies import ContainerBody, DeviceBody, MountBody
from catalogue.compose.container import ContainerOptions
from catalogue.compose.values import HealthCommand, Mount
from catalogue.shapes import is_list, is_mapping
from catalogue.sizes import to_bytes

# Written as they are, where they say something
PLAIN = (
    "command", "entrypoint", "user", "group_add", "working_dir", "tmpfs", "cpus", "mem_reservation", "pids_limit",
    "shm_size", "init", "stop_signal", "stop_grace_period", "read_only", "cap_add", "cap_drop", "security_opt",
    "devices", "tty", "stdin_open", "sysctls", "extra_hosts", "dns", "hostname", "privileged", "pid", "ipc",
)  # fmt: skip
Written = TypeVar("Written")


def body(options: ContainerOptions, health: HealthCommand | str | None) -> ContainerBody:
    """`health` is as the service has it. Without `volumes`, `files`, `labels` and `depends_on`, which take names of the
    host's."""
    values = options.model_dump(include={*PLAIN})
    plain = {name: values[name] for name in PLAIN if values[name] not in (None, [], {}, False)}
    fields = cast("ContainerBody", plain)
    if options.ulimits:
        fields["ulimits"] = {
            name: {"soft": limits.soft, "hard": limits.hard} for name, limits in options.ulimits.items()
        }
    if options.gpus:
        count = -1 if options.gpus == "all" else options.gpus
        device: DeviceBody = {"driver": "nvidia", "count": count, "capabilities": ["gpu"]}
        fields["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    if health == "running":
        # An image's own check that nothing asks about
        fields["healthcheck"] = {"disable": True}
    if isinstance(health, HealthCommand):
        fields["healthcheck"] = {
            "test": health.test, "interval": health.interval, "timeout": health.timeout, "retries": health.retries,
            "start_period": health.start_period,
        }  # fmt: skip
    return escape_dollars(fields)


def mount(entry: Mount) -> MountBody:
    """The long form, in which no `:` of a path is taken for another part."""
    fields: MountBody = {"type": entry.type, "target": entry.target}
    if entry.source:
        fields["source"] = entry.source
    if entry.read_only:
        fields["read_only"] = True
    if entry.size:
        fields["tmpfs"] = {"size": to_bytes(entry.size)}
    return escape_dollars(fields)


def escape_dollars(value: Written) -> Written:
    """With every $ as itself: Compose would take it for the beginning of a variable."""
    return cast("Written", _escape(value))


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if is_list(value):
        return [_escape(item) for item in value]
    if is_mapping(value):
        return {name: _escape(item) for name, item in value.items()}
    return value
