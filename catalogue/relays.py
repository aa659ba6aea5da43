"""Relays: what stands at a service's port on a host that it does not run on, or not alone, and leads to it there."""

from collections.abc import Sequence

from catalogue.services import ComposeService, UnitService

PROXYD = "/lib/systemd/systemd-socket-proxyd"


class Relay(UnitService):
    """The unit that leads connections at a service's port to where it runs; `origin` is that service. When one takes
    the other's place, requests wait for it as for the service itself."""

    origin: str


def relay_name(service: str, host: str) -> str:
    """The relay's name: `whisper-on-gpu`."""
    return f"{service}-on-{host}"


def relay(service: ComposeService, host: str, address: str, after: Sequence[str] = ()) -> Relay:
    """The unit that leads connections at a service's port to an `address`, where it runs apart from its system. While
    units `after` which it comes are starting, connections wait at its socket."""
    name, order = relay_name(service.name, host), {"After": " ".join(after)} if after else {}
    return Relay.model_validate(
        {
            "kind": "unit",
            "name": name,
            "origin": service.name,
            "purpose": f"Leads to {service.name} on {host}",
            "purpose_ja": f"{host} の {service.name} への中継",
            "role": service.role,
            "port": service.port,
            "port_exception": service.port_exception,
            "health": service.health_path or "/",
            "unit": f"{name}.service",
            "socket": True,
            "hold": service.hold,
            "drain": service.drain,
            "memory": {"limit": "64m"},
            "directives": {
                "Unit": {"Description": f"Leads to {service.name} on {host}", **order},
                "Service": {
                    "ExecStart": f"{PROXYD} --connections-max=4096 {address}",
                    "DynamicUser": "yes",
                    "NoNewPrivileges": "yes",
                    "PrivateTmp": "yes",
                    "ProtectSystem": "strict",
                    "ProtectHome": "yes",
                    # A connection takes two sockets and two pipes
                    "LimitNOFILE": "32768",
                },
                "Install": {"WantedBy": "multi-user.target"},
            },
        }
    )
