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
    r"true|false|yes|no|on|off|none|null|0|1"
    r"|trace|debug|info|notice|warn|warning|error|critical|fatal"
    r"|production|prod|staging|development|dev|test|testing|local"
    r"|UTC|(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[A-Za-z_]{2,20}(?:/[A-Za-z_]{2,20})?"
    r"|(?:C|POSIX|[a-z]{2}_[A-Z]{2})(?:\.UTF-?8)?"
    r"|(?:af|ap|ca|eu|il|me|mx|sa|us)(?:-gov)?-(?:north|south|east|west|central){1,2}-\d"
    r"|localhost|127\.0\.0\.1|0\.0\.0\.0",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d{1,5}(?:\.\d{1,3})?(?:ms|s|m|h|d|[kmg]b?)?", re.IGNORECASE)
# A number is plain where its name has a word of one: it may be a code or a key as well
COUNTS = re.compile(
    r"(?:^|_|(?<=[a-z])(?=[A-Z]))"
    r"(?i:ports?|timeouts?|ttl|max|min|limits?|sizes?|counts?|workers?|threads?|concurrency|processes|replicas|shards"
    r"|retry|retries|attempts?|intervals?|delay|period|duration|days?|hours?|minutes?|mins|seconds?|secs|millis|ms"
    r"|level|depth|width|height|length|batch|buffer|pool|queue|memory|mem|cpus?|rate|ratio|threshold|percent|quality"
    r"|connections?|conns|pages?|rows|lines|bytes|kb|mb|gb|version|uid|gid|umask|verbosity|scale|fps|db)"
    r"(?=_|$|[A-Z])"
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
    """Is a value no secret by its form (a switch, a level, a time zone, a region), or a number of what is counted."""
    probe = f"{name}={OPAQUE}\n"
    is_so = PLAIN.fullmatch(value) or (NUMBER.fullmatch(value) and COUNTS.search(name))
    return bool(is_so) and not SHORT_SECRET.search(name) and mask("", probe) == probe


def describe(text: str, mask: Callable[[str, str], str]) -> dict[str, object]:
    """Of an environment file: `names`, the `values` that are plain, and of others the sign (`faults`) that an
    environment file of a release cannot hold."""
    pairs = dict(assignments(text))
    values = {name: value for name, value in pairs.items() if is_plain(name, value, mask)}
    faults = {name: sign for name, value in pairs.items() for sign in reversed(SIGNS) if sign in value}
    return {"names": list(pairs), "values": values, "faults": faults}
