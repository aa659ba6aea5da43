"""One service of WatchMe, which tests deploy alone: its builds, and what serves."""

from lab.images import build_programs
from lab.registry import push_stub, tags
from lab.stubs import stubs
from tests.support import WATCHME
from tests.system.conftest import System
from tests.system.on import REGION

CONTAINERS = [entry["container"] for entry in WATCHME["services"] if not entry.get("retired")]
SERVICE, CONTAINER, REPOSITORY = "admin", "watchme-admin", "watchme-admin"


def push(system: System, repository: str, tag: str = "latest", **facts: str) -> str:
    """Another build of an image under a tag; its digest."""
    push_stub(system.lab, REGION, f"{repository}:{tag}", {**stubs()[repository], **facts}, build_programs())
    return tags(system.lab, REGION, repository)[tag]


def started(system: System) -> dict[str, str]:
    form = "{{.Name}} {{.State.StartedAt}}"
    lines = system.on_host("docker", "inspect", "-f", form, *CONTAINERS).output.splitlines()
    return {name.removeprefix("/"): time for name, time in (line.split(" ", 1) for line in lines)}


def serving(system: System, container: str = CONTAINER) -> str:
    """The digest of the image that a container runs."""
    image = system.on_host("docker", "inspect", "-f", "{{.Config.Image}}", container).output
    return image.strip().partition("@")[2]
