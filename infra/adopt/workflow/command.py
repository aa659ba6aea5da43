"""`infra adopt workflow`: the call that takes the place of a product's own build and deploy steps, as a diff, and what
it does not carry over."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue.files import read_text
from catalogue.loading import Catalogue
from catalogue.problems import nearest
from catalogue.shapes import is_mapping
from catalogue.sizes import INSTANCE_TYPES
from infra.adopt.workflow.reading import EXPRESSION, JobFields, Workflow, read_workflow
from infra.adopt.workflow.remarks import remarks
from infra.adopt.workflow.replacing import Plan, plan_parts, replace_parts
from infra.adopt.workflow.steps import Build, builds_of, kind_of
from infra.errors import InfraError
from infra.foreign import one_line
from infra.git import git

REUSABLE = ".github/workflows/deploy.yml"
ROLE = "${{ vars.AWS_ROLE_PUSH }}"
TOKEN = re.compile(r"[A-Z_][A-Z0-9_]*")
ORIGIN = re.compile(r"github\.com[:/]([A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?$")
# Inputs of deploy.yml that say what they say without being written
DEFAULTS = {"stack": "prod", "region": "ap-northeast-1", "context": ".", "file": "", "platform": "linux/arm64"}


@dataclass(frozen=True)
class AdoptOptions:
    """What a person says beside the file; "" where it is to be read off. `infra` is OWNER/NAME of this project, `role`
    what may push, `token` the secret that may ask for deployments."""

    infra: str = ""
    service: str = ""
    image: str = ""
    role: str = ROLE
    token: str = "DEPLOY"


def adopt(catalogue: Catalogue, path: Path, options: AdoptOptions) -> tuple[str, list[str]]:
    """A unified diff of the file, and what is to be known and done beside. Raises InfraError, CatalogueError."""
    workflow = read_workflow(one_line(path.name), read_text(path, str(path)))
    if calls := [job.id for job in workflow.jobs if f"/{REUSABLE}@" in str(job.value.get("uses", ""))]:
        raise InfraError(f"{workflow.file}: job {calls[0]} calls {REUSABLE} already")
    if not TOKEN.fullmatch(options.token):
        raise InfraError(f"--token {options.token}: is no name of a secret of GitHub Actions")
    draft = plan_parts(workflow, "")
    build = _build(draft)
    image = options.image or _image(workflow, build)
    service = _service(catalogue, image, options.service)
    plan = plan_parts(workflow, service)
    call = _call(catalogue, plan, build, (service, image), options)
    changed = replace_parts(plan, call)
    # As git names it in the product's repository
    parts = path.resolve().parts
    name = "/".join(parts[-3:]) if parts[-3:-1] == (".github", "workflows") else path.name
    diff = difflib.unified_diff(
        workflow.text.splitlines(keepends=True), changed.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(_whole_lines(diff)), remarks(catalogue, plan, build, call["with"], options.role == ROLE)


def _whole_lines(diff: Iterator[str]) -> Iterator[str]:
    for line in diff:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _build(plan: Plan) -> Build:
    """Raises InfraError for several."""
    builds = [
        build
        for part in plan.parts
        for step in part.removed_steps
        if kind_of(step, part.job) == "build"
        for build in builds_of(step, part.job)
    ]
    images = {name for build in builds for name in build.repositories}
    if len(builds) > 1 and len(images) != 1:
        names = ", ".join(sorted(images)) or f"{len(builds)} images"
        raise InfraError(f"{plan.workflow.file}: it builds {names}: a workflow for each image, then run again")
    if not builds:
        raise InfraError(f"{plan.workflow.file}: its build cannot be read: write docker build on one line of its own")
    return builds[0]


def _image(workflow: Workflow, build: Build) -> str:
    clear = [name for name in build.repositories if "$" not in name]
    if len(clear) != 1:
        what = one_line(", ".join(build.repositories)) or "no tag with a registry"
        raise InfraError(f"{workflow.file}: the image's repository is not clear ({what}): name it with --image")
    return clear[0]


def _service(catalogue: Catalogue, image: str, service_name: str) -> str:
    """The one service that runs the image, or the one that is named. Raises InfraError."""
    stack = catalogue.stack.name
    services = {service.name: service for system in catalogue.running.values() for service in system.active}
    if service_name and service_name not in services:
        raise InfraError(f"--service {service_name}: {nearest(service_name, sorted(services), 'services')}")
    users = [name for name, service in services.items() if image in [own.repository for own in service.images]]
    if service_name:
        if service_name not in users:
            own = ", ".join(one.repository for one in services[service_name].images) or "none"
            raise InfraError(
                f"{service_name} of stack {stack} has no image {image} (it has: {own}): name its own with --image"
            )
        return service_name
    if len(users) != 1:
        which = f"several services have it: {', '.join(users)}: name one with --service" if users else (
            "no service has it: describe it in the catalogue first, or name the image that it has there with --image"
        )  # fmt: skip
        raise InfraError(f"image {image}, stack {stack}: {which}")
    return users[0]


def _infra(repository: str) -> str:
    """OWNER/NAME of this project's repository. Raises InfraError."""
    if repository:
        if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
            raise InfraError(f"--infra {repository}: is no OWNER/NAME of GitHub's")
        return repository
    try:
        origin = git("remote", "get-url", "origin").decode(errors="replace").strip()
    except InfraError:
        origin = ""
    if match := ORIGIN.search(origin):
        return match[1]
    raise InfraError("which repository is this project's? --infra OWNER/NAME")


def _call(
    catalogue: Catalogue, plan: Plan, build: Build, service_and_image: tuple[str, str], options: AdoptOptions
) -> JobFields:
    """The job that takes their place."""
    infra = _infra(options.infra)
    inputs = {
        "service": service_and_image[0],
        "stack": catalogue.stack.name,
        "infra": infra,
        "image": service_and_image[1],
        "role": options.role,
    }
    inputs |= {"region": catalogue.stack.region, "context": build.context.removeprefix("./") or ".", "file": build.file}
    platform = _platform(catalogue, service_and_image[0], build)
    inputs |= {"platform": platform, "environment": _environment(plan)}
    inputs |= {"runner": "ubuntu-24.04"} if platform == "linux/amd64" else {}
    explicit = {name: value for name, value in inputs.items() if value and value != DEFAULTS.get(name)}
    condition = _condition(plan)
    return {
        **({"needs": plan.needs} if plan.needs else {}),
        **({"if": condition} if condition else {}),
        "uses": f"{infra}/{REUSABLE}@main",
        "permissions": {"contents": "read", "id-token": "write", "statuses": "write"},
        "with": explicit,
        "secrets": {"dispatch": f"${{{{ secrets.{options.token} }}}}"},
    }


def _platform(catalogue: Catalogue, service: str, build: Build) -> str:
    """That of the machine which has the service; of one that is no EC2 instance the build's own."""
    for host, spec in catalogue.stack.ec2_hosts.items():
        if any(one.name == service for system in catalogue.systems_on(host) for one in system.active):
            return f"linux/{INSTANCE_TYPES[spec.instanceType].architecture}"
    return next((name for name in build.platforms if "$" not in name), "linux/amd64")


def _environment(plan: Plan) -> str:
    for part in plan.parts:
        environment = part.job.value.get("environment") if part.is_whole else None
        name = environment.get("name") if is_mapping(environment) else environment
        if isinstance(name, str) and not EXPRESSION.search(name):
            return name
    return ""


def _condition(plan: Plan) -> Any:
    """That of the job that builds, where all of it goes."""
    return next((part.job.value.get("if") for part in plan.parts if part.is_whole), None)
