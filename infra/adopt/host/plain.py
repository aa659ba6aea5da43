"""What of an environment file may leave its host: the names of its variables, values that are no secret by their form,
and what of a value no environment file of a release can hold. Runs on the host beside on_host.py: standard library
only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# Values too, so that no line of one is taken for a name: in quotes to their end, else to that of their last line
VARIABLES = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"
    r"((?:\"(?:[^\"\\]|\\.)*(?:\"|\Z)|'[^']*(?:'|\Z)|`[^`]*(?:`|\Z)|(?:\\.|[^\\\n])*))",
    re.MULTILINE | re.DOTALL,
)
KEY = re.compile(r"-----BEGIN [^-\n]*-----.*?(?:-----END [^-\n]*-----|\Z)", re.DOTALL)
# Names of what a number or a word can be the secret of
SHORT_SECRET = re.compile(r"code|pin(?![a-z])|login|user|answer|otp|seed|id$", re.IGNORECASE)
OPAQUE = "x9qZ"  # stands for a value when only a name is looked at
PLAIN = re.compile(
    r"true|false|yes|no|on|off|none|null"
    r"|\d{1,5}(?:\.\d{1,3})?(?:ms|s|m|h|d|[kmg]b?)?"
    r"|trace|debug|info|notice|warn|warning|error|critical|fatal"
    r"|production|prod|staging|development|dev|test|testing|local"
    r"|UTC|(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[A-Za-z_]{2,20}(?:/[A-Za-z_]{2,20})?"
    r"|(?:C|POSIX|[a-z]{2}_[A-Z]{2})(?:\.UTF-?8)?"
    r"|(?:af|ap|ca|eu|il|me|mx|sa|us)(?:-gov)?-(?:north|south|east|west|central){1,2}-\d"
    r"|localhost|127\.0\.0\.1|0\.0\.0\.0",
    re.IGNORECASE,
)
# What the environment files of a release cannot hold
SIGNS = ("\n", "\r", "'", "\\", "${")


def assignments(text: str) -> Iterator[tuple[str, str]]:
    """Each variable of an environment file, and its value as the quotes around it hold it."""
    for name, value in VARIABLES.findall(KEY.sub("", text)):
        quote = value[:1]
        if quote in ("'", '"') and len(value) > 1 and value.endswith(quote):
            yield name, value[1:-1]
        else:
            yield name, re.split(r"\s#", value, maxsplit=1)[0].strip()


def is_plain(name: str, value: str, mask: Callable[[str, str], str]) -> bool:
    """Is a value no secret, whatever its variable is for: a switch, a number, a level, a time zone, a region."""
    probe = f"{name}={OPAQUE}\n"
    return bool(PLAIN.fullmatch(value)) and not SHORT_SECRET.search(name) and mask("", probe) == probe


def describe(text: str, mask: Callable[[str, str], str]) -> dict[str, object]:
    """Of an environment file: `names`, the `values` that are plain, and of others the sign (`faults`) that an
    environment file of a release cannot hold."""
    pairs = dict(assignments(text))
    values = {name: value for name, value in pairs.items() if is_plain(name, value, mask)}
    faults = {name: sign for name, value in pairs.items() for sign in reversed(SIGNS) if sign in value}
    return {"names": list(pairs), "values": values, "faults": faults}
