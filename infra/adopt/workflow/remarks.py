"""What a call does not carry over, in a line each: what the owner has to know, and to do."""

import re
from collections.abc import Iterable, Iterator, Mapping

from catalogue.loading import Catalogue
from infra.adopt.workflow.reading import Step
from infra.adopt.workflow.replacing import Plan
from infra.adopt.workflow.steps import Build, kind_of
from infra.foreign import one_line

SECRET = re.compile(r"\bsecrets\.([A-Za-z_]\w*)")
PLACES = re.compile(r"(?:^|_)(?:HOST|HOSTNAME|USER|USERNAME|PORT|SSH|PEM|KEY_PATH|REGISTRY|ACCOUNT_ID|DIR)(?:_|$)")
# What a release does, or has no use for any more
DONE = re.compile(
    r"(?:(?:cd|echo|printf|sleep|for|do|done|if|then|else|elif|fi|while|until|break|exit|set|true|false|test|cat|grep|ls|"
    r"wc|head|tail|mkdir|chmod|touch|pwd|date|curl|wget|export|ssh|scp|rsync|ssh-keyscan|ssh-add|eval|EOF|END\w*|\[|\[\[|"
    r"(?:sudo\s+)?docker-compose|(?:sudo\s+)?docker\s+(?:compose|pull|stop|rm|ps|logs|login|images|image|system|inspect|"
    r"rmi|container\s+prune|network)|(?:sudo\s+)?aws\s+ecr|(?:\./|bash\s+|sh\s+)?[\w./-]*(?:run|deploy|start)[\w.-]*\.sh"
    r")(?:\s|$|[;&|<>\"'])|\w+=|[{}()<]|\.\s)"
)
SHOWN = 300


def remarks(
    catalogue: Catalogue, plan: Plan, build: Build, inputs: Mapping[str, str], asks_for_role: bool
) -> list[str]:
    """Pure: all of it is in the file and the catalogue. `inputs` are the call's; `asks_for_role` says that the role is
    a variable of the repository."""
    service = inputs["service"]
    lines = list(_before(catalogue, plan, service, asks_for_role))
    lines += _of_secrets(catalogue, plan, service)
    lines += _of_build(catalogue, plan, build, inputs.get("platform", "linux/arm64"))
    lines += _of_hosts(plan)
    lines += _of_jobs(plan)
    return [one_line(line) for line in lines]


def _before(catalogue: Catalogue, plan: Plan, service: str, asks_for_role: bool) -> Iterator[str]:
    stack = catalogue.stack
    may = [name for name, pusher in stack.pushers.items() if service in pusher.services]
    if not may:
        yield f"no repository may push the image of {service}: name it under infra:pushers, and pulumi up"
    if asks_for_role:
        yield (
            f"set the variable AWS_ROLE_PUSH of the repository to its role (pulumi stack output pushers --stack "
            f"{stack.name})"
        )
    yield "set the secret that the call gives as dispatch to the token of docs/deploying.md"


def _texts(steps: Iterable[Step]) -> str:
    return "\n".join(str(dict(step.value)) for step in steps)


def _of_secrets(catalogue: Catalogue, plan: Plan, service: str) -> Iterator[str]:
    secrets = set(SECRET.findall(_texts(plan.removed_steps)))
    # Whatever still names one keeps it
    staying = "\n".join(str(dict(step.value)) for part in plan.parts for step in part.staying)
    staying += "\n".join(str(dict(job.value)) for job in plan.workflow.jobs if job.id in plan.kept_jobs)
    unused = sorted(secrets - set(SECRET.findall(staying)) - {"GITHUB_TOKEN"})
    env_secrets = {
        name for step in plan.removed_steps if ".env" in step.script for name in SECRET.findall(str(dict(step.value)))
    }
    services = [one for system in catalogue.running.values() for one in system.active if one.name == service]
    own = {name for one in services for name in one.secret_names}
    # What it has in plain text, it has
    plain = {name for one in services for name in one.environment}
    for name in sorted(name for name in env_secrets - plain if not PLACES.search(name)):
        if name in own:
            yield f"{name} was written to the host: infra secret set {service}.{name} --stack {catalogue.stack.name}"
        else:
            yield f"{name} was written to the host, and the catalogue does not name it: under secrets: of {service}"
    if unused:
        yield f"secrets that this workflow needs no more: {', '.join(unused)}"


def _of_build(catalogue: Catalogue, plan: Plan, build: Build, platform: str) -> Iterator[str]:
    for option in build.left_out:
        yield f"the build's {option} is not carried over: write it into the Dockerfile"
    if build.platforms and build.platforms != [platform]:
        yield f"it built for {', '.join(build.platforms)}: the call builds for {platform}, as the host is"
    regions = {
        step.resolve(str(step.inputs["aws-region"]))
        for step in plan.removed_steps
        if "aws-region" in step.inputs and "$" not in step.resolve(str(step.inputs["aws-region"]))
    }
    for region in sorted(regions - {catalogue.stack.region}):
        yield f"it pushed to {region}; stack {catalogue.stack.name} is in {catalogue.stack.region}, and so is the call"


def _of_hosts(plan: Plan) -> Iterator[str]:
    copied: dict[str, None] = {}
    remarks_of_lines: dict[str, None] = {}
    for part in plan.parts:
        for step in part.removed_steps:
            if kind_of(step, part.job) != "remote":
                continue
            copied |= dict.fromkeys(str(step.inputs["source"]).split(",") if "source" in step.inputs else [])
            for line in _lines_of(step):
                if match := re.match(r"scp\s+(.*)", line):
                    words = [word for word in match[1].split() if not word.startswith("-") and "=" not in word]
                    copied |= dict.fromkeys(word for word in words[:-1] if ":" not in word)
                if re.match(r"(?:sudo\s+)?docker\s+run\b", line):
                    what = "ran the container by itself: the catalogue has its options; compare"
                elif DONE.match(re.sub(r'^ssh\s[^"\']*["\']', "", line)):
                    continue
                else:
                    what = "does on the host what nothing does then"
                remarks_of_lines[f"step {step.title!r} {what}: {line[:SHOWN]}"] = None
    yield from remarks_of_lines
    if copied:
        yield f"no longer copied to the host, where the catalogue has what they say: {', '.join(copied)}"


def _lines_of(step: Step) -> Iterator[str]:
    """Its commands, those over several lines joined, with what they are known to name."""
    script = re.sub(r"[ \t]*\\\r?\n\s*", " ", str(step.inputs.get("script", "")))
    for line in step.resolve(f"{step.script}\n{script}").splitlines():
        if (text := line.strip()) and not text.startswith("#"):
            yield text


def _of_jobs(plan: Plan) -> Iterator[str]:
    gone_ids = {str(step.value["id"]) for step in plan.removed_steps if "id" in step.value}
    conditions = {str(part.job.value["if"]) for part in plan.parts if part.is_whole and "if" in part.job.value}
    if len(conditions) > 1:
        yield f"several conditions, of which the call has the first: {'; '.join(sorted(conditions))}"
    for part in plan.parts:
        for key in ("container", "services", "concurrency"):
            if part.is_whole and key in part.job.value:
                yield f"job {part.job.id}: its {key} is not carried over"
        for step in part.staying:
            uses = sorted(id for id in gone_ids if re.search(rf"\bsteps\.{re.escape(id)}\b", str(dict(step.value))))
            if uses:
                yield f"step {step.title!r} uses an output of step {', '.join(uses)}, which is removed: change it"
        if part.staying:
            yield f"stays in job {part.job.id} as it is: {'; '.join(step.title for step in part.staying)}"
    for job in plan.workflow.jobs:
        text = str(dict(job.value))
        outputs = sorted(id for id in plan.gone_jobs if re.search(rf"\bneeds\.{re.escape(id)}\.outputs\b", text))
        if job.id in plan.kept_jobs and outputs:
            yield f"job {job.id} uses outputs of {', '.join(outputs)}: the call has one, digest"
    if plan.kept_jobs:
        yield f"stays as it is: job {', '.join(plan.kept_jobs)}"
