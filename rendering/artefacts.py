"""Artefacts, which a product's owner builds and a host unpacks: their folder on the host, and the link that a release
creates to it."""

from dataclasses import replace

from catalogue.artefacts import started_files
from catalogue.models import System
from catalogue.service import Artefact as Named
from catalogue.services import NativeService
from catalogue.stack import Stack
from rendering.compose import Digests, full_name
from rendering.files import HostFiles, Link
from rendering.links import Artefact

# As in agent/artefacts.py
PLACE = "/opt/infra/artefacts"


def artefacts(system: System, stack: Stack, digests: Digests) -> HostFiles:
    """The artefacts of a system's services, each with its link."""
    pairs = [(service, artefact) for service in system.native_services for artefact in service.artefact]
    folders = [artefact.into for _, artefact in pairs]
    started_by = [started_files(service, folders) for service in system.native_services]
    programs, scripts = ([path for each in started_by for path in each[kind]] for kind in (0, 1))
    entries = [
        replace(
            _build_artefact(service, artefact, full_name(artefact, stack, digests)),
            programs=below(artefact.into, programs),
            scripts=below(artefact.into, scripts),
        )
        for service, artefact in pairs
    ]
    return HostFiles("", artefacts=entries, links=[Link(artefact.into, artefact.target) for artefact in entries])


def below(into: str, paths: list[str]) -> list[str]:
    """Those of the paths that lie behind a link, each once."""
    return list(dict.fromkeys(path for path in paths if path.startswith(f"{into}/")))


def _build_artefact(service: NativeService, artefact: Named, image: str) -> Artefact:
    # The digest's beginning is what a preview shows of it
    mark = image.partition("@sha256:")[2][:16] or "not-pushed"
    folder = f"{PLACE}/{artefact.repository.replace('/', '_')}-{mark}"
    inside = f"/{artefact.subpath}" if artefact.subpath else ""
    return Artefact(service.name, image, artefact.into, folder, f"{folder}{inside}")
