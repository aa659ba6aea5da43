"""What a product's owner built and a host unpacks: where an artefact lies there, and the link that a release puts in
place of it."""

from catalogue.artefacts import started
from catalogue.models import System
from catalogue.service import Artefact as Named
from catalogue.services import NativeService
from catalogue.stack import Stack
from rendering.compose import Digests, full_name
from rendering.files import Artefact, HostFiles, Link

# As in agent/artefacts.py
PLACE = "/opt/infra/artefacts"


def artefacts(system: System, stack: Stack, digests: Digests) -> HostFiles:
    """Those of a system's services, each with its link."""
    found = [(service, artefact) for service in system.native_services for artefact in service.artefact]
    everything = [path for service in system.native_services for path in started(service, [a for _, a in found])[0]]
    programs = list(dict.fromkeys(everything))
    made = [_made(service, artefact, full_name(artefact, stack, digests), programs) for service, artefact in found]
    return HostFiles("", artefacts=made, links=[Link(artefact.into, artefact.target) for artefact in made])


def _made(service: NativeService, artefact: Named, image: str, programs: list[str]) -> Artefact:
    # The digest's beginning is what a preview shows of it
    mark = image.partition("@sha256:")[2][:16] or "not-pushed"
    folder = f"{PLACE}/{artefact.repository.replace('/', '_')}-{mark}"
    inside = f"/{artefact.subpath}" if artefact.subpath else ""
    own = [path for path in programs if path.startswith(f"{artefact.into}/")]
    return Artefact(service.name, image, artefact.into, folder, f"{folder}{inside}", own)
