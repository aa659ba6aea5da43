"""Variables as compose files and the files that they name write them."""

from typing import Any


def pairs(given: Any) -> dict[str, Any]:
    """`environment` of a service by name; None for a variable of the shell that starts Compose."""
    if isinstance(given, dict):
        return dict(given)
    return dict(_pair(str(item)) for item in given or [])


def of_file(text: str) -> dict[str, str | None]:
    """The variables of a file of `env_file`."""
    lines = [line.strip().removeprefix("export ") for line in text.splitlines()]
    found = [_pair(line) for line in lines if line and not line.startswith("#")]
    return {name.strip(): None if value is None else _unquoted(value.strip()) for name, value in found}


def _pair(text: str) -> tuple[str, str | None]:
    name, sign, value = text.partition("=")
    return name, value if sign else None


def _unquoted(value: str) -> str:
    """In single quotes each sign is itself."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].replace("$", "$$") if value[0] == "'" else value[1:-1]
    return value.partition(" #")[0].rstrip()
