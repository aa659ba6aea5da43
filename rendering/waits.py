"""What a container waits for before it starts, outside its own compose project."""

from urllib.parse import quote

from catalogue.models import System
from catalogue.service import Service
from catalogue.services import ComposeService
from rendering.places import Project, places


def waits_for(project: Project, system: System) -> tuple[list[str], list[tuple[str, str]]]:
    """Units of other projects and of native services that start before a project does; and of those services whose
    health it waits for, the name with the shell command that asks."""
    inside = {service.name for service in project.services}
    needs = [pair for service in project.services for pair in service.depends_on.items()]
    waited = {name for name, need in needs if need.condition == "service_healthy"}
    others = [service for service in system.active if service.name in dict(needs) and service.name not in inside]
    units = [unit for service in others for unit in _units(service)]
    probed = [service for service in others if service.name in waited]
    return list(dict.fromkeys(units)), [(service.name, _asks(service)) for service in probed]


def _units(service: Service) -> list[str]:
    return [place.unit for place in places(service)] if isinstance(service, ComposeService) else [service.unit]


def _asks(service: Service) -> str:
    """A shell command that ends with 0 while a service is healthy."""
    check = service.check if isinstance(service, ComposeService) else "http"
    if check == "tcp":
        return f"(: </dev/tcp/127.0.0.1/{service.listens}) 2>/dev/null"
    if check == "http":
        # Nothing in it that a shell would read as anything but itself
        path = quote(service.health_path or "/", safe="/%?=&._~:@+,-")
        address = f"http://127.0.0.1:{service.listens}{path}"
        return f'[ "$$(curl --silent --max-time 5 --output /dev/null --write-out "%{{http_code}}" "{address}")" = 200 ]'
    assert isinstance(service, ComposeService), "only a container is asked for by Docker"
    field = ".State.Running" if check == "running" else ".State.Health.Status"
    answer = "true" if check == "running" else "healthy"
    return f'[ "$$(timeout 10 docker inspect -f "{{{{{field}}}}}" {service.container} 2>&1)" = {answer} ]'
