"""What the steps of a workflow are for: building and pushing an image, bringing it to a host, preparing that, or
something else, which stays."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from infra.adopt.workflow.reading import Job, Step
from infra.errors import InfraError

Kind = Literal["build", "remote", "support", "words", "other"]

BUILD_ACTION = "docker/build-push-action"
REMOTE_ACTIONS = (
    "appleboy/ssh-action",
    "appleboy/scp-action",
    "easingthemes/ssh-deploy",
    "burnett01/rsync-deployments",
)
# Action → the word in what stays that still needs it; "" for any step that stays
SUPPORT = {
    "actions/checkout": "", "aws-actions/configure-aws-credentials": r"\baws\b", "webfactory/ssh-agent": r"\bssh\b",
    "aws-actions/amazon-ecr-login": r"\bdocker\b", "docker/login-action": r"\bdocker\b",
    "docker/setup-buildx-action": r"\bdocker\b", "docker/setup-qemu-action": r"\bdocker\b",
    "docker/metadata-action": r"\bdocker\b",
}  # fmt: skip
BUILDS = re.compile(r"\bdocker\s+(?:buildx\s+|image\s+)?build\b")
REMOTE = re.compile(r"(?:^|[\s;&|(])(?:ssh|scp|rsync|ssh-keyscan|ssh-add)\s", re.MULTILINE)
# Words of a shell that are no program
SHELL = r"for|done|fi|break|continue|set|exit|true|false|sleep|test|\[|\[\["
END, SETS = r"(?:\s|$|[<>])", r"\w+=[^\s`(]*$"
WORDS = re.compile(rf"(?:echo|printf|{SHELL}){END}|{SETS}")
UPKEEP = re.compile(rf"(?:aws\s+ecr|echo|printf|docker\s+(?:login|tag|push|images)|{SHELL}){END}|{SETS}")
HEALTH = re.compile(rf"(?:curl|wget|echo|printf|{SHELL}){END}|{SETS}")
SENDS = re.compile(r"\s(?:-X|--request|-d|--data\S*|-F|--form|-T)\b|hooks\.|webhook", re.IGNORECASE)


def kind_of(step: Step, job: Job) -> Kind:
    if step.uses == BUILD_ACTION:
        return "build" if str(step.inputs.get("push", "")).lower() in ("true", "${{true}}") else "other"
    if step.uses in REMOTE_ACTIONS:
        return "remote"
    if step.uses:
        return "support" if step.uses in SUPPORT else "other"
    if BUILDS.search(step.script):
        return "build" if _pushes(step) or any(map(_pushes, job.steps)) else "other"
    if REMOTE.search(step.script):
        return "remote"
    if _pushes(step) and any(BUILDS.search(other.script) for other in job.steps):
        return "build"
    commands = list(_commands(step.script))
    if all(WORDS.match(line) for line in commands):
        return "words"
    if all(UPKEEP.match(line) for line in commands):
        return "support"
    if all(HEALTH.match(line) for line in commands) and not SENDS.search(step.script):
        return "support"
    return "other"


def _pushes(step: Step) -> bool:
    return bool(re.search(r"\bdocker\s+(?:image\s+)?push\b|\s--push\b|type=registry", step.script))


def _commands(script: str) -> Iterator[str]:
    """Each command by itself, without a shell's words before it."""
    for line in script.splitlines():
        # What is in quotes separates nothing; but what it calls counts
        plain = re.sub(r"\"[^\"`]*\"|'[^']*'", lambda match: match[0] if "$(" in match[0] else '""', line.strip())
        for part in re.split(r";|&&|\|\|?", "" if plain.startswith("#") else plain):
            if command := re.sub(r"^(?:(?:if|then|else|elif|do|while|until|!)(?:\s+|$))+", "", part.strip()):
                yield command


def is_still_needed(step: Step, staying: Sequence[Step]) -> bool:
    """Does what stays in its job need a step that prepares."""
    if step.script:
        # What it sets for later steps
        return bool(re.search(r"GITHUB_(?:ENV|OUTPUT|PATH)", step.script)) and bool(staying)
    texts = [f"{other.script}\n{other.uses}\n{other.inputs}" for other in staying]
    if not texts or step.uses not in SUPPORT:
        return False
    word = SUPPORT[step.uses]
    return any(re.search(word, text) for text in texts)


@dataclass(frozen=True)
class Build:
    """What a build says of its image: repositories by their names in a registry, Dockerfile and context, processors,
    and the options that nothing takes over."""

    repositories: list[str]
    file: str = ""
    context: str = "."
    platforms: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])


WITH_VALUE = {
    "-t", "--tag", "-f", "--file", "--platform", "--build-arg", "--target", "--cache-from", "--cache-to", "-o",
    "--output", "--progress", "--secret", "--ssh", "--label", "--network", "--provenance", "--builder", "--iidfile",
    "--metadata-file", "--sbom", "--attest", "--annotation", "--build-context", "--add-host", "--shm-size", "--ulimit",
    "-m", "--memory",
}  # fmt: skip
# Options that change what is in the image
MATTERS = {"--build-arg", "--target", "--secret", "--ssh", "--build-context", "--network", "--add-host"}
ACTION_MATTERS = {"build-args", "target", "secrets", "ssh", "build-contexts", "network", "add-hosts", "secret-files"}


def builds_of(step: Step, job: Job) -> list[Build]:
    """Of a step that builds. Raises InfraError for a command that no shell can read."""
    if step.uses == BUILD_ACTION:
        return [_of_action(step)]
    pushed = [word for other in job.steps for line in _commands(other.script) for word in _tags(other, line)]
    directory = step.resolve(str(step.value.get("working-directory", "")))
    builds: list[Build] = []
    for line in _commands(step.script):
        if change := re.match(r"cd\s+([^\s;&]+)", line):
            directory = _join(directory, step.resolve(change[1]))
        if BUILDS.search(line):
            builds.append(_of_command(step.resolve(line), directory, pushed))
    return builds


def _tags(step: Step, line: str) -> list[str]:
    """What `docker tag` and `docker push` name."""
    match = re.search(r"\bdocker\s+(?:image\s+)?(?:tag|push)\s+(.*)", step.resolve(line))
    return [word.strip("\"'") for word in match[1].split()] if match else []


def _of_command(line: str, directory: str, pushed: list[str]) -> Build:
    try:
        words = shlex.split(BUILDS.split(line, maxsplit=1)[-1])
    except ValueError:
        raise InfraError(f"{line[:80]}…: this build cannot be read: write it as one command without quotes") from None
    options: dict[str, list[str]] = {}
    places: list[str] = []
    waiting = iter(words)
    for word in waiting:
        name, has_value, value = word.partition("=")
        if word in ("&&", ";", "|", "||"):
            break
        if name in WITH_VALUE:
            options.setdefault(name, []).append(value if has_value else next(waiting, ""))
        elif not word.startswith("-"):
            places.append(word)
    tags = [*options.get("-t", []), *options.get("--tag", []), *pushed]
    file = [*options.get("-f", []), *options.get("--file", []), ""][0]
    context = _join(directory, places[-1] if places else ".").rstrip("/") or "."
    platforms = [one for value in options.get("--platform", []) for one in value.split(",")]
    left_out = [f"{name} {value}" for name in sorted(MATTERS & {*options}) for value in options[name]]
    return Build(
        _repositories(tags), _below(context, _join(directory, file) if file else ""), context, platforms, left_out
    )


def _of_action(step: Step) -> Build:
    inputs = {name: step.resolve(str(value)) for name, value in step.inputs.items()}
    tags = [tag for line in inputs.get("tags", "").splitlines() for tag in line.split(",")]
    context = inputs.get("context", ".")
    platforms = [name.strip() for name in inputs.get("platforms", "").split(",") if name.strip()]
    left_out = [name for name in inputs if name in ACTION_MATTERS]
    return Build(_repositories(tags), _below(context, inputs.get("file", "")), context, platforms, left_out)


def _join(directory: str, path: str) -> str:
    if not directory or directory == "." or path.startswith("/"):
        return path
    return directory if path == "." else f"{directory.rstrip('/')}/{path.removeprefix('./')}"


def _below(context: str, file: str) -> str:
    """The Dockerfile as `deploy.yml` takes it: below the context; "" for its usual name there."""
    inner = file.removeprefix("./").removeprefix(context.removeprefix("./").rstrip("/") + "/")
    return "" if inner in ("", "Dockerfile") else inner


def _repositories(tags: Iterable[str]) -> list[str]:
    """Of image names with a registry before them, the repositories; what is not clear stays as an expression."""
    names: list[str] = []
    for tag in tags:
        first, has_registry, rest = tag.strip().partition("/")
        is_registry = "." in first or ":" in first or "$" in first
        if has_registry and is_registry:
            names.append(re.split("[:@]", rest)[0])
        elif "$" in tag:
            names.append(tag.strip())
    return list(dict.fromkeys(names))
