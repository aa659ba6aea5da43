"""Commands for one service: restart it, look into it, reach it; and for sites."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from infra.cli import HostName, StackName, app, catalogue_of, duration, valid_catalogue
from infra.completing import complete_addresses, complete_services, complete_sites
from infra.errors import InfraError

Service = Annotated[
    str, typer.Argument(help="A service; NAME/2 is its second replica.", autocompletion=complete_services)
]


@app.command()
def restart(
    services: Annotated[
        list[str], typer.Argument(help="Services, all on the same host.", autocompletion=complete_services)
    ],
    stack: StackName,
    host: HostName = None,
) -> None:
    """Restart services as a release does: requests wait, or another replica answers them; each service must become
    healthy again. Nothing else changes."""
    from infra import delivery, deploying, hosts, outside

    services = list(dict.fromkeys(services))
    catalogue = valid_catalogue(stack)
    place, _ = deploying.host_of(catalogue, services, host, "infra restart")
    stack_model = catalogue.stack
    (target,) = hosts.targets(stack_model, place).values()
    look = partial(outside.complaint, target.address, stack_model.trustedRoots)
    outcome = delivery.restart(target, services, stack_model.confirmDeadline, look, partial(typer.echo, err=True))
    typer.echo(outcome["line"])
    raise typer.Exit(outcome["code"])


@app.command(name="exec")
def execute(
    service: Service,
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    stack: StackName,
    host: HostName = None,
) -> None:
    """Run a command in a service's container, or under a native service's account with its environment. The exit
    code is the command's. The host logs who ran which program; arguments are visible in the host's process list, so
    pass secrets by standard input."""
    from infra import reaching

    target = reaching.target_of(catalogue_of(stack), service, host)
    raise typer.Exit(reaching.run(target, "exec", service, command))


@app.command()
def shell(
    stack: StackName,
    service: Annotated[
        str, typer.Argument(help="A service; default: the host itself.", autocompletion=complete_services)
    ] = "",
    host: HostName = None,
) -> None:
    """Open a shell in a service's container, or under a native service's account; without a service on the host, as
    the stack's user. The host logs who opened it."""
    from infra import reaching

    target = reaching.target_of(catalogue_of(stack), service, host)
    raise typer.Exit(reaching.run(target, "shell" if service else "host", service, []))


@app.command(name="port-forward")
def port_forward(
    service: Annotated[
        str,
        typer.Argument(help="A service, or SERVICE:PORT for another port of it.", autocompletion=complete_services),
    ],
    stack: StackName,
    local: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Local port on 127.0.0.1; default: the same port, or a free one."),
    ] = None,
    host: HostName = None,
) -> None:
    """Forward a local port to a service's port until Ctrl-C, such as to an unpublished database or an admin page."""
    from infra import reaching

    name, colon, port = service.partition(":")
    if colon and not (port.isdecimal() and 0 < int(port) < 65536):
        raise InfraError(f"{service}: a service's name, and a port from 1 to 65535, as in shop-db:5432")
    catalogue = catalogue_of(stack)
    name, host = reaching.port_of_relay(catalogue, name, host)
    target = reaching.target_of(catalogue, name, host)
    reaching.forward(target, name, int(port) if port else None, local, partial(typer.echo, err=True))


@app.command(name="open")
def open_site(
    stack: StackName,
    site: Annotated[
        str,
        typer.Argument(help="A site or a service; default: the stack's only site.", autocompletion=complete_addresses),
    ] = "",
) -> None:
    """Open a site, or a service's first path, in the browser; without a browser, only print the address."""
    import webbrowser

    from infra import reaching

    url = reaching.url_of(catalogue_of(stack), site)
    typer.echo(url)
    webbrowser.open(url)


class Switch(StrEnum):
    ON, OFF, SHOW = "on", "off", "show"


@app.command()
def maintenance(
    state: Annotated[Switch, typer.Argument(help="on, off, or show.")],
    stack: StackName,
    sites: Annotated[
        list[str] | None,
        typer.Argument(help="Sites; default: all sites of the stack.", autocompletion=complete_sites),
    ] = None,
    lasting: Annotated[
        str, typer.Option("--for", help="Duration of the maintenance, such as 30m or 2h; at most 7 days.")
    ] = "1h",
) -> None:
    """Have sites answer 503 (with their page for it) at once and without a release, or no longer; those who may see the
    host's page (infra:statusCidrs) are let through. A restart of the host ends it too."""
    from infra import maintenance as switching

    catalogue = catalogue_of(stack)
    if state == Switch.SHOW:
        lines = switching.show(catalogue, sites or [])
    else:
        lines = switching.switch(catalogue, sites or [], state == Switch.ON, duration("--for", lasting))
    for line in lines:
        typer.echo(line)
