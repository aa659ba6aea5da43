"""What a host says of itself, over its owner's connection. Nothing is changed there, and nothing stays."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko

from agent import places
from catalogue import masking
from infra.adopt import keys
from infra.adopt.host.documents import Entries, Facts, PathsQuestion, Question
from infra.adopt.host.forms import checked_entries, checked_facts
from infra.adopt.keys import Machine
from infra.errors import InfraError
from infra.foreign import one_line
from infra.remote import run_program
from infra.ssh import Target

HERE = Path(__file__).parent
MASKING = Path(masking.__file__).parent
PLACES = Path(places.__file__)
# Its modules, each after those that it imports, and the package itself
BESIDE = ("by_run", "crontabs", "kernel", "plain", "rivals")  # what on_host.py imports
MODULES = ("names", "nested_secrets", "proxies", "detectors", "lines", "")


class Connection:
    """A host that answers questions."""

    def __init__(self, transport: paramiko.Transport, machine: Machine, say: Callable[[str], None]) -> None:
        self.transport, self.say = transport, say
        self.target = Target(machine.address, machine.address, machine.port, machine.user, machine.host_key, "")

    def facts(self) -> Facts:
        """All that on_host.py reads. Raises InfraError."""
        return checked_facts(self._ask({"ask": "facts"}, "facts"), str(self.target))

    def entries(self, text: list[str], names: list[str], stat: list[str]) -> Entries:
        """What there is at paths; see on_host.paths. Raises InfraError."""
        request: PathsQuestion = {"ask": "paths", "text": text, "names": names, "stat": stat}
        by_path = checked_entries(self._ask(request, "paths"), str(self.target))
        # What it says nothing of is not there
        return {path: by_path.get(path, {"kind": "none"}) for path in {*text, *names, *stat}}

    def _ask(self, payload: Question, answer: str) -> Any:
        for event in run_program(self.transport, self.target, program(), payload):
            if answer in event:
                return event[answer]
            self.say(one_line(str(event.get("step", ""))))
        raise InfraError(f"{self.target}: the host did not report its {answer}")


def program() -> str:
    """What runs on the host, as one text. Each source is a module of its own."""
    masking = {f"masking.{name}".rstrip("."): MASKING / f"{name or '__init__'}.py" for name in MODULES}
    agent = {"agent": PLACES.with_name("__init__.py"), "agent.places": PLACES}
    own = {f"infra.adopt.host.{name}": HERE / f"{name}.py" for name in BESIDE}
    sources = {name: path.read_text() for name, path in {**masking, **agent, **own}.items()}
    sources = dict.fromkeys(("infra", "infra.adopt", "infra.adopt.host"), "") | sources
    return (
        f"import sys, types\nfor full, text in {sources!r}.items():\n"
        "    module = sys.modules[full] = types.ModuleType(full)\n"
        "    module.__package__, module.__path__, module.__file__ = full.partition('.')[0], [], full\n"
        "    exec(text, module.__dict__)\n"
        f"on_host = {{}}\nexec({(HERE / 'on_host.py').read_text()!r}, on_host)\n"
        "on_host['run'](payload, sys.modules['masking'].mask_secrets)\n"
    )


@contextmanager
def connect(machine: Machine, say: Callable[[str], None]) -> Generator[Connection]:
    """Raises InfraError: unreachable, another host key, a key that is not let in, no sudo."""
    expected = [machine.host_key]
    with keys.owners(machine.address, machine.port, machine.user, machine.identity, expected) as transport:
        try:
            yield Connection(transport, machine, say)
        except InfraError as error:
            raise InfraError(f"{error}{_hint(machine, str(error))}") from None


def _hint(machine: Machine, complaint: str) -> str:
    if "sudo:" in complaint:
        return f"; {machine.user} must be allowed `sudo -n python3`, since only root reads all of it: or --user root"
    return "; it needs python3" if "python3" in complaint and "not found" in complaint else ""
