"""`infra new`: a project for a product of one's own, with the program and without anything of another's."""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import Field, TypeAdapter, ValidationError

from catalogue.compose.environment import of_file
from catalogue.fields import AccountId, Email, HostName, Network, Region
from catalogue.files import read_mapping, read_text
from catalogue.loading import TO_WRITE
from catalogue.problems import CatalogueError
from infra.errors import InfraError
from infra.foreign import one_line
from infra.git import git
from infra.project.compose_entries import entries, find_secrets
from infra.project.program import HERE, Program, program_in, write_record
from infra.writing import put, refuse_system

# YAML's own words, and Docker's and our own networks
TAKEN = {
    "yes", "no", "on", "off", "true", "false", "null", "y", "n", "none", "host", "bridge", "default", "infra", "backup",
    "monitor", "registries",
}  # fmt: skip
SystemName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,28}[a-z0-9]$")]
STARTER = "starter/project"
EXAMPLE = "example.com"
MOST_OF_A_NAME = 64  # letters of a certificate's name


@dataclass(frozen=True)
class Answers:
    """What a new project is for. An empty answer becomes a line TODO; `compose` is the compose file that it runs
    instead of the example."""

    system: str
    region: str
    zone: str = ""
    account: str = ""
    email: str = ""
    cidr: str = ""
    compose: Path | None = None


# Answer → its type, and what is allowed
QUESTIONS: Mapping[str, tuple[TypeAdapter[str] | TypeAdapter[IPv4Network], str]] = {
    "system": (
        TypeAdapter(SystemName),
        "2 to 30 small letters, digits and -, a letter first, such as shop",
    ),
    "region": (TypeAdapter(Region), "a region of AWS, such as ap-northeast-1"),
    "zone": (TypeAdapter(HostName), "a domain, such as example.com"),
    "account": (TypeAdapter(AccountId), "12 digits"),
    "email": (TypeAdapter(Email), "an address such as ops@example.com"),
    "cidr": (TypeAdapter(Network), "a network such as 198.51.100.7/32"),
}


def name_of(folder: Path) -> str:
    """The name that a system gets where none is given: the directory's."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-").lstrip("0123456789-")[:30].strip("-")
    return name if len(name) > 1 and name not in TAKEN else f"{name}-app".lstrip("-")[:30] if name else "app"


def check_answer(question: str, answer: str) -> str:
    """An answer, unless it can be none. Raises InfraError."""
    kind, allowed = QUESTIONS[question]
    try:
        kind.validate_python(answer)
    except ValidationError:
        raise InfraError(f"--{question} {answer}: {allowed}") from None
    if question == "system" and answer in TAKEN:
        raise InfraError(f"--system {answer}: is reserved; must be another name, such as shop")
    return answer


def create(folder: Path, answers: Answers) -> tuple[Program, str]:
    """The project as a whole, or nothing; and why git has no first commit of it ("": it has). Raises InfraError."""
    if folder.resolve() == Path.cwd():
        raise InfraError(
            "a project needs a directory of its own, and this is the current one: run it in the parent directory"
        )
    folder = folder.absolute()
    refuse_system(folder)
    for question in QUESTIONS:
        answer = getattr(answers, question)
        if answer or question in ("system", "region"):
            check_answer(question, answer)
    site = f"{answers.system}.{answers.zone or EXAMPLE}"
    if len(site) > MOST_OF_A_NAME:
        raise InfraError(f"{site} would be its public name, and has more than {MOST_OF_A_NAME} letters: --system NAME")
    if os.path.lexists(folder) and (not folder.is_dir() or folder.is_symlink() or any(folder.iterdir())):
        raise InfraError(f"{folder} already exists: name a directory that does not exist, or an empty one")
    program = program_in(HERE)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InfraError(f"{folder} cannot be made: {error.strerror}") from None
    try:
        part.chmod(0o755)
        for path, text in starter(program, answers).items():
            _write(part / path, text.encode(), False)
        for path, file in program.files.items():
            _write(part / path, file.content, file.executable)
        write_record(part, program)
        uncommitted = _begin_history(part, program)
        # An empty directory is replaced; a file that came meanwhile is not
        os.rename(part, folder)
    except OSError as error:
        raise InfraError(f"{folder} cannot be made: {error.strerror}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return program, uncommitted


def starter(program: Program, answers: Answers) -> dict[str, str]:
    """The files that are the owners' from then on: path → text. Raises InfraError."""
    composed = _read_compose(answers) if answers.compose else None
    texts = Environment(
        loader=FileSystemLoader(HERE / STARTER), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    values = {
        "system": answers.system, "region": answers.region, "version": program.name,
        "zone": answers.zone or TO_WRITE, "email": answers.email or TO_WRITE, "cidr": answers.cidr or TO_WRITE,
        "account": f'"{answers.account}"' if answers.account else TO_WRITE,
        "services": composed[0] if composed else "", "site": f"{answers.system}.{answers.zone or EXAMPLE}",
        "known_zone": answers.zone or EXAMPLE,
    }  # fmt: skip
    names = [name for name in texts.list_templates() if name.endswith(".j2")]
    extra = {f"files/static/{answers.system}/compose.yml": composed[1]} if composed else {}
    return extra | {
        name.removesuffix(".j2").replace("SYSTEM", answers.system): texts.get_template(name).render(values)
        for name in names
    }


def _read_compose(answers: Answers) -> tuple[str, str]:
    """What the catalogue says of a compose file, as YAML, and the file's text. Raises InfraError."""
    assert answers.compose
    file = answers.compose
    try:
        document, text = (
            read_mapping(file, str(file), "a compose file: services: {NAME: …}"),
            read_text(file, str(file)),
        )
        dotenv = file.parent / ".env"
        beside = read_text(dotenv, str(dotenv)) if dotenv.is_file() else ""
    except CatalogueError as error:
        raise InfraError(str(error)) from None
    if not isinstance(document.get("services"), dict) or not document["services"]:
        raise InfraError(f"{file} has no services: it is no compose file")
    if secrets := [*find_secrets(document, text)]:
        raise InfraError(
            f"{file} has secrets in plain text, and a project goes into git: {', '.join(map(one_line, secrets))}. "
            "Write ${NAME} in the place of each value in a copy of the file, and name that copy"
        )
    try:
        of_file(beside)
    except ValueError as error:
        raise InfraError(f"{dotenv}: {error}: correct it, as Docker Compose could not read it either") from None
    fields = entries(document, answers.system, beside)
    return "".join(yaml.safe_dump({key: value}, sort_keys=False, width=110) for key, value in fields.items()), text


def _write(place: Path, content: bytes, executable: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    put(place, content)
    place.chmod(0o755 if executable else 0o644)


def _begin_history(folder: Path, program: Program) -> str:
    try:
        git("init", "--quiet", "--initial-branch", "main", root=folder)
        # Whatever an account's own list of ignored files says
        git("add", "--all", "--force", root=folder)
        git(
            "-c",
            "commit.gpgsign=false",
            "commit",
            "--quiet",
            "--message",
            f"Begin with the program, version {program.name}",
            root=folder,
        )
    except InfraError as error:
        return str(error)
    return ""
