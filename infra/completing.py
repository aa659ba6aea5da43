"""Names that a shell completes. They come from the project's files in the current directory alone: without network,
passphrase or message, since a shell shows whatever is printed amid the line that a person types."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from catalogue.stack import Stack, read_stack, stack_names
from infra.paths import config_file, project_root

if TYPE_CHECKING:
    from catalogue.loading import Catalogue

# A shell inserts it as it is, and zsh evaluates what it gets: any other name is left for a person to type
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@-]*")
Complete = Callable[[typer.Context, str], list[str]]


def of_catalogue(names: Callable[["Catalogue"], Iterable[str]], option: str = "stack") -> Complete:
    """Completes names of the catalogue of the stack that an option names, or of all stacks where none was typed yet."""

    def names_in(stack: Stack) -> Iterable[str]:
        # Its models take longer to load than all the rest
        from catalogue.loading import load

        return names(load(project_root(), stack))

    return of_stack(names_in, option)


def of_stack(names: Callable[[Stack], Iterable[str]], option: str = "stack") -> Complete:
    """Completes names of a stack's configuration, whatever its catalogue says; which stack: as `of_catalogue`."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        stacks = words_of(ctx.params.get(option)) or _stack_names()
        # One that cannot be read has no names; the command itself says what is wrong
        per_stack = [_silently(lambda name=name: names(_read(name))) for name in stacks]
        return _matching(ctx, incomplete, [name for own in per_stack for name in own])

    return complete


def complete_stacks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes the stacks of the project."""
    return _matching(ctx, incomplete, _stack_names())


def words_of(value: object) -> list[str]:
    """What was typed for an option or an argument."""
    return [value] if isinstance(value, str) else [*value] if isinstance(value, list | tuple) else []


def _matching(ctx: typer.Context, incomplete: str, names: Iterable[str]) -> list[str]:
    """The names that go on as was begun, without those that stand in the line already."""
    typed = {word for value in ctx.params.values() if not isinstance(value, str) for word in words_of(value)}
    return sorted({name for name in names if name.startswith(incomplete) and PLAIN.fullmatch(name)} - typed)


def _stack_names() -> list[str]:
    return _silently(lambda: stack_names(project_root()))


def _read(stack: str) -> Stack:
    return read_stack(project_root(), stack, config_file(stack))


def _silently(names: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return [*names()]
    except Exception:
        return []


def host_names(stack: Stack) -> list[str]:
    return [*stack.hosts]


def service_names(catalogue: "Catalogue") -> list[str]:
    return [service.name for system in catalogue.running.values() for service in system.active]


def _names_with_backup(catalogue: "Catalogue") -> list[str]:
    return [service.name for system in catalogue.running.values() for service in system.active if service.backup]


def _names_with_logs(catalogue: "Catalogue") -> list[str]:
    from infra.logs import names_by_host

    return [name for names in names_by_host(catalogue).values() for name in names]


def _site_names(catalogue: "Catalogue") -> list[str]:
    sites = [site for system in catalogue.running.values() for site in system.sites]
    return [catalogue.stack.public_name(site.name) for site in sites]


def _names_to_open(catalogue: "Catalogue") -> list[str]:
    from infra.reaching import urls_by_name

    return [*urls_by_name(catalogue)]


def _settable_secrets(catalogue: "Catalogue") -> list[str]:
    from infra.secret import settable_paths

    return [*settable_paths(catalogue)]


def _secrets_with_values(catalogue: "Catalogue") -> list[str]:
    from infra.secret import stack_secrets

    return [entry.path for entry in stack_secrets(catalogue) if entry.is_set]


complete_hosts = of_stack(host_names)
complete_services = of_catalogue(service_names)
complete_backups = of_catalogue(_names_with_backup)
complete_logs = of_catalogue(_names_with_logs)
complete_sites = of_catalogue(_site_names)
complete_addresses = of_catalogue(_names_to_open)
complete_settable = of_catalogue(_settable_secrets)
complete_secrets = of_catalogue(_secrets_with_values)
