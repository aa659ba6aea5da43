"""The body of a service in a compose file, out of what the catalogue says of its container. Pure. Compose of either
generation (1.27 and later, 2) takes what is written here."""

from typing import Any

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


def body(options: ContainerOptions, health: Any) -> dict[str, Any]:
    """`health` is as the service has it. Without `volumes`, `files`, `labels` and `depends_on`, which take names of the
    host's."""
    values = options.model_dump(include={*PLAIN})
    fields: dict[str, Any] = {name: values[name] for name in PLAIN if values[name] not in (None, [], {}, False)}
    if options.ulimits:
        fields["ulimits"] = {name: limits.model_dump() for name, limits in options.ulimits.items()}
    if options.gpus:
        count: Any = -1 if options.gpus == "all" else options.gpus
        device = {"driver": "nvidia", "count": count, "capabilities": ["gpu"]}
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


def mount(entry: Mount) -> dict[str, Any]:
    """The long form, in which no `:` of a path is taken for another part."""
    fields: dict[str, Any] = {"type": entry.type, "target": entry.target}
    if entry.source:
        fields["source"] = entry.source
    if entry.read_only:
        fields["read_only"] = True
    if entry.size:
        fields["tmpfs"] = {"size": to_bytes(entry.size)}
    return escape_dollars(fields)


def escape_dollars(value: Any) -> Any:
    """With every $ as itself: Compose would take it for the beginning of a variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if is_list(value):
        return [escape_dollars(item) for item in value]
    if is_mapping(value):
        return {name: escape_dollars(item) for name, item in value.items()}
    return value
