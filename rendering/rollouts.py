"""What a proxy chooses between of a service that has two places, or of which several run: files of its own that links
of the release select."""

from collections.abc import Iterator

from catalogue.models import System
from catalogue.services import ComposeService
from rendering.files import Choice, File, HostFiles, Link, Member, Replicas, Slots
from rendering.places import Place, own_url, places
from rendering.proxy import Leading
from rendering.sites import upstream

DRAIN = 30  # seconds: another one takes new requests meanwhile


def rollouts(system: System, leading: Leading | None) -> Iterator[HostFiles]:
    """The slots and replicas of a host's services, each with the link that selects it. The catalogue's rules refuse
    both on a host whose proxy is not led between them."""
    if leading:
        yield from (blue_green(service, leading) for service in system.compose_services if service.is_blue_green)
        for service in system.compose_services:
            if service.is_balanced:
                yield replica_upstream(system, service, leading)


def replica_upstream(system: System, service: ComposeService, leading: Leading) -> HostFiles:
    """The upstream of a service of which several run: each replica is in it by a link, which a release takes away while
    it restarts that one."""
    name, folder = upstream(service), f"{leading.place}/replicas/{service.name}"
    files = [File(leading.read_file(name), leading.to_all(name, f"{folder}.d").encode())]
    links, members = list[Link](), list[Member]()
    waiting = [other for other in system.compose_services if service.name in other.depends_on]
    healthy = [other for other in waiting if other.depends_on[service.name].condition == "service_healthy"]
    awaited = [place.unit for other in healthy for place in places(other)]
    for number, place in enumerate(places(service), 1):
        assert place.port, "the checks have seen to it"
        file, link = (f"{folder}.{kind}/{number}{leading.suffix}" for kind in ("members", "d"))
        files.append(File(file, leading.member(f"127.0.0.1:{place.port}").encode()))
        links.append(Link(link, file))
        members.append(Member(place.unit, place.port, link, file, drain_of(service)))
    return HostFiles("", files=files, links=links, replicas=[Replicas(service.name, members, awaited)])


def drain_of(service: ComposeService) -> int:
    return DRAIN if service.drain is None else service.drain


def blue_green(service: ComposeService, leading: Leading) -> HostFiles:
    """The upstream as it is for each slot; a link chooses one of them."""
    name = upstream(service)
    files = [
        File(_slot_path(service, place, leading), leading.to_one(name, f"127.0.0.1:{place.port}").encode())
        for place in places(service)
    ]
    choices = [
        Choice(
            place.unit, place.port, own_url(service, place), _slot_path(service, place, leading), drain_of(service)
        )
        for place in places(service)
        if place.port
    ]  # fmt: skip
    return HostFiles("", files=files, slots=[Slots(service.name, leading.read_file(f"slot-{service.name}"), choices)])


def _slot_path(service: ComposeService, place: Place, leading: Leading) -> str:
    return f"{leading.place}/slots/{service.name}-{place.slot}{leading.suffix}"
