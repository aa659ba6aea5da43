"""How a compose file has a container run: what means the same under a unit, and what does not. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from catalogue.shapes import is_list, is_mapping, mapping_or_empty

# A unit restarts it whenever it ends, with no limit of attempts
RESTARTED = re.compile(r"always|unless-stopped|on-failure(:[0-9]+)?|")
# Where logs are files that are rotated: the journal is too
IN_FILES = (None, "json-file", "local", "journald")
ROTATION = {
    "max-size",
    "max-file",
    "max-buffer-size",
    "mode",
    "compress",
    "tag",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
}
# Images are of one digest, which is there before a release switches
PULLED = re.compile(r"always|missing|if_not_present|daily|weekly|refresh|every_\w+")
# A host takes the image for its own processor, and refuses one that has none
PLATFORMS = re.compile(r"linux/(amd64|arm64)(/v8)?")
# Where a container has the names of others
TEXTS = ("environment", "command", "entrypoint")
RUNS_ONCE = "it runs once, but no other service waits for its end: write it as release of the service that needs it"


def differences(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, reason) of what is not the same here."""
    yield from _restarts(body)
    logging = mapping_or_empty(body.get("logging"))
    driver, options = logging.get("driver"), mapping_or_empty(logging.get("options"))
    if driver not in IN_FILES:
        yield "logging", f"driver {driver!r}: its log is in the journal here; infra:logs sends that to a server"[:120]
    elif more := sorted(str(key) for key in options if key not in ROTATION):
        yield "logging", f"{', '.join(more)}: its log is in the journal here"
    pull_policy, platform = body.get("pull_policy"), body.get("platform")
    if pull_policy and not PULLED.fullmatch(str(pull_policy)):
        yield "pull_policy", f"found {pull_policy!r}: an image is pulled from the stack's registry"[:120]
    if platform and not PLATFORMS.fullmatch(str(platform)):
        yield "platform", f"found {platform!r}: hosts take images for their own processor, amd64 or arm64"[:120]


def _restarts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    restart, deploy = body.get("restart"), mapping_or_empty(body.get("deploy"))
    policy: object = deploy.get("restart_policy")
    condition = policy.get("condition") if is_mapping(policy) else None
    if restart in ("no", False):
        yield "restart", RUNS_ONCE
    elif not RESTARTED.fullmatch("" if restart is None else str(restart)):
        yield "restart", f"found {restart!r}"[:80]
    if condition == "none":
        yield "deploy.restart_policy", RUNS_ONCE
    elif (policy is not None and not is_mapping(policy)) or condition not in (None, "any", "on-failure"):
        yield "deploy.restart_policy", f"found {condition or policy!r}"[:80]


def links(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """Services that a container reaches by `links`, with the other names that it has for them."""
    value: object = body.get("links")
    names: dict[str, list[str]] = {}
    for item in value if is_list(value) else []:
        key, _, alias = str(item).partition(":")
        names.setdefault(key, []).extend([alias] if alias and alias != key else [])
    return names


def linked_names(services: Mapping[Any, Any], key: str, names: Collection[str]) -> list[str]:
    """A container's other names by which others call it: those of their `links`, and its own container's name where
    they have it. `names` are those that it has anyway."""
    others = [body for name, body in services.items() if str(name) != key and is_mapping(body)]
    aliases = [alias for body in others for alias in links(body).get(key, [])]
    body = services.get(key)
    container = str(body.get("container_name") or "") if is_mapping(body) else ""
    if container and any(_has_word(other.get(key), container) for other in others for key in TEXTS):
        aliases.append(container)
    return [alias for alias in dict.fromkeys(aliases) if alias not in names]


def _has_word(value: Any, word: str) -> bool:
    """Whether a name is in a text, or in one of those of a mapping or a list."""
    if is_mapping(value) or is_list(value):
        return any(_has_word(item, word) for item in (value.values() if is_mapping(value) else value))
    # In an address it is the host, and neither a part of a longer name nor of a path
    name = rf"(?:(?<=[^/]//)|(?<![\w./-])){re.escape(word)}(?![\w.-])"
    return isinstance(value, str) and re.search(name, value) is not None
