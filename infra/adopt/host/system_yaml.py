"""A system as YAML, as a person would write it: in the order of our own files, no defaults. Pure."""

from typing import Any

import yaml

from catalogue.models import System
from catalogue.shapes import ServiceFields, is_list, is_mapping

SERVICE = (
    "name", "kind", "unresolved", "account", "retired", "purpose", "purpose_ja", "role", "image", "container", "port",
    "port_exception",
    "address", "routes", "health", "memory", "directory", "compose_file", "compose_key", "unit", "instances", "socket",
    "environment", "environment_file", "secrets", "needs", "files", "directives", "job", "drop_ins", "single",
    "stop_priority",
)  # fmt: skip
IN_ONE_LINE = {
    "image",
    "memory",
    "routes",
    "cors",
    "accounts",
    "directories",
    "secrets",
    "instances",
    "methods",
    "needs",
}


class _InOneLine(dict[str, object]):
    pass


class _ListInOneLine(list[object]):
    pass


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


_Dumper.add_representer(
    _InOneLine, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)
)
_Dumper.add_representer(
    _ListInOneLine, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


def yaml_of(system: System, head: list[str]) -> str:
    """`head` are lines of a comment before it."""
    data = system.model_dump(exclude_defaults=True)
    services = [_order_fields(service) for service in data.pop("services")]
    parts = ["\n".join([*(f"# {line}" for line in head), _text({k: data.pop(k) for k in ("system", "document")})])]
    parts += [_text({key: _shape_value(key, value)}) for key, value in data.items()]
    parts.append("services:\n" + "\n".join(_indent(_text([service])) for service in services))
    return "\n".join(parts).rstrip() + "\n"


def _order_fields(service: ServiceFields) -> ServiceFields:
    ordered_names = [name for name in SERVICE if name in service]
    return {name: _shape_value(name, service[name]) for name in [*ordered_names, *(set(service) - set(ordered_names))]}


def _shape_value(name: str, value: Any) -> Any:
    if is_mapping(value):
        mapping = {key: _shape_value(key, item) for key, item in value.items()}
        return _InOneLine(mapping) if name in IN_ONE_LINE else mapping
    if not is_list(value):
        return value
    # A list of mappings has one of them in a line
    items = [_shape_value(name, item) for item in value]
    plain = name in IN_ONE_LINE and not any(isinstance(item, dict) for item in items)
    return _ListInOneLine(items) if plain else items


def _text(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _indent(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))
