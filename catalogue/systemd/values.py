"""The kinds of values that directives take, each with a judge that says what is wrong with a text."""

import re
from collections.abc import Callable

_SPAN = (
    r"\d+(\.\d+)?\s*(us|usec|ms|msec|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?)?"
)
_LISTS = {
    "Type": "simple exec forking oneshot dbus notify notify-reload idle",
    "Restart": "no on-success on-failure on-abnormal on-watchdog on-abort always",
    "NotifyAccess": "none main exec all",
    "KillMode": "control-group mixed process none",
    "DevicePolicy": "strict closed auto",
    "CPUSchedulingPolicy": "other batch idle fifo rr",
    "ProtectSystem": "yes no true false full strict",
    "ProtectHome": "yes no true false read-only tmpfs",
    "OOMPolicy": "continue stop kill",
    "KeyringMode": "inherit private shared",
    "CollectMode": "inactive inactive-or-failed",
    "Storage": "volatile persistent auto none",
}
BOOLEANS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def _pattern(pattern: str, allowed: str) -> Callable[[str], str | None]:
    return lambda text: None if re.fullmatch(pattern, text) else allowed


def _one_of(names: str) -> Callable[[str], str | None]:
    return lambda text: None if text in names.split() else f"one of {', '.join(names.split())}"


def _between(least: int, most: int) -> Callable[[str], str | None]:
    def judge(text: str) -> str | None:
        fine = re.fullmatch(r"-?\d+", text) and least <= int(text) <= most
        return None if fine else f"a whole number from {least} to {most}"

    return judge


_UNIT = r"[A-Za-z0-9:_.\\@%-]+\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)"
_PATH = r"[-+]*[/~%].*"
JUDGES: dict[str, Callable[[str], str | None]] = {
    "text": lambda text: None,
    "boolean": lambda text: None if text in BOOLEANS else "yes or no",
    "seconds": _pattern(rf"infinity|({_SPAN}\s*)+", "a time such as 30, 1min 30s, 7day or infinity"),
    "timer": _pattern(rf"({_SPAN}\s*)+", "a time such as 30 or 6h"),
    "limit": _pattern(
        r"infinity|\d+(\.\d+)?[KMGTPE]?|\d+(\.\d+)?%|[\d:]+|\d+(us|ms|s|min|h|d|w)",
        "a size or number such as 500M, 1.5G or infinity",
    ),
    "percent": _pattern(r"\d+(\.\d+)?%", "a percentage such as 50%"),
    "tasks": _pattern(r"infinity|\d+%?", "a number, a percentage or infinity"),
    "count": _pattern(r"\d+", "a whole number"),
    "integer": _pattern(r"-?\d+", "a whole number"),
    "mode": _pattern(r"[0-7]{3,4}", "octal permissions such as 0750"),
    "path": _pattern(_PATH, "an absolute path"),
    "paths": _pattern(rf"({_PATH}\s*)+", "absolute paths"),
    "units": _pattern(rf"({_UNIT}\s*)+", "unit names with their ending, such as network-online.target"),
    "command": _pattern(r"[-@:+!|]*[/A-Za-z%].*", "a command line"),
    "signal": _pattern(r"(SIG)?[A-Z]+[A-Z0-9+]*|\d+", "a signal such as SIGTERM"),
    "nice": _between(-20, 19),
    "oom": _between(-1000, 1000),
    "weight": _pattern(r"idle|[1-9]\d{0,3}|10000", "a weight from 1 to 10000"),
    **{name: _one_of(names) for name, names in _LISTS.items()},
}  # fmt: skip


def expected_form(kind: str, text: str) -> str | None:
    """What may stand there, when `text` may not; None when it may. An empty text takes back earlier values."""
    return JUDGES[kind](text) if text else None
