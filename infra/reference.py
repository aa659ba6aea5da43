"""The reference: pages that are generated as a whole, from the configuration's schema, the commands' help and the alert
conditions."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from catalogue.files import read_yaml
from catalogue.shapes import is_mapping
from infra import alert_pages, messages
from infra.account import access, policies
from infra.cli.examples import EXAMPLES
from infra.errors import InfraError
from infra.markdown import code, page, table

PLACE = Path("docs/reference")


def configuration(root: Path) -> str:
    """Every key of `Pulumi.STACK.yaml`, out of `Pulumi.yaml`."""
    document = read_yaml(root / "Pulumi.yaml", "Pulumi.yaml")
    keys = document.get("config") if is_mapping(document) else None
    if not is_mapping(keys) or not all(is_mapping(entry) and "type" in entry for entry in keys.values()):
        raise InfraError("Pulumi.yaml has no config: it lists each key with its type, as Pulumi's documentation says")
    rows = [
        (f"`{key}`", entry["type"], f"`{json.dumps(entry['default'])}`" if "default" in entry else "required or empty",
         entry.get("description", ""))
        for key, entry in keys.items()
    ]  # fmt: skip
    head = "Keys of `Pulumi.STACK.yaml`. Set one with `pulumi config set KEY VALUE`, a secret with `--secret`."
    return page("Configuration", "`Pulumi.yaml`", head, table(("key", "type", "default", "what it is"), rows))


def commands(_: Path) -> str:
    """Every command of `infra`, with its options and examples."""
    from infra.main import app

    parts: list[str] = []
    for name, command in _all(typer.main.get_command(app)):
        rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
        options = table(("argument or option", "default", "what it is"), rows) if rows else ""
        examples = "".join(f"    {line}\n" for line in EXAMPLES.get(name, []))
        pieces = [f"## infra {name}", _help(command), options, examples.rstrip("\n")]
        parts.append("\n\n".join(piece for piece in pieces if piece))
    head = (
        "`infra COMMAND --help` shows the same. "
        "Exit codes: 0 success, 1 refused or failed, 2 something needs attention."
    )
    return page("Commands", "the commands in `infra/cli/`", head, "\n\n".join(parts))


def rights(_: Path) -> str:
    """Every action that the program asks of AWS, by the role that needs it."""
    parts: list[str] = []
    for role, what in policies.ROLES.items():
        rows = [(f"`{action}`", ", ".join(whose)) for action, whose in policies.uses(role).items()]
        parts.append(f"## {role}\n\n{what[0].upper()}{what[1:]}.\n\n{table(('action', 'for'), rows)}")
    parts.append(f"## {access.ROLE}\n\n{access.WORDS}")
    head = (
        "The least rights in AWS of those who run the program. `infra rights ROLE --stack STACK` prints each as a "
        "policy of IAM, with the stack's account, regions and repositories. A role has its own policy beside those "
        "before it: attach `plan` to who previews, `plan` and `deploy` to who updates, all three to a person. "
        "`infra check --live --stack STACK` says what the credentials at hand lack for an update. Who may create "
        "roles and hand them to machines can give itself any right that those roles may get: where that matters, "
        "give the roles a permissions boundary. The rights on Pulumi's own backend come on top: of a bucket, "
        "`s3:ListBucket`, and `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject` on what is in it."
    )
    return page("Rights in AWS", "`infra/account/actions.yaml`", head, "\n\n".join(parts))


def catalogue(_: Path) -> str:
    """Every field that people write in a system's file, of hosts and the like in a stack's, and in that of alerts."""
    from infra import catalogue_fields

    head = (
        "Every field, by the thing that it belongs to. How they work together, with examples: "
        "[the catalogue](../catalogue.md), [sites](../sites.md), [backups](../backups.md). A field that is not here is "
        "refused. The keys of `Pulumi.STACK.yaml` themselves are in [configuration](configuration.md). In a system "
        "with a compose file of its makers (`compose`) an entry of `services` needs only what that file does not say, "
        "and no `kind`."
    )
    return page("Fields of the catalogue", "the models in `catalogue/`", head, catalogue_fields.body(table))


def messages_page(_: Path) -> str:
    """Every message of the programs, out of their sources."""
    source = "the programs, whose messages these are, and `infra/messages.yaml`"
    return page("Messages", source, messages.HEAD, messages.body())


PAGES: dict[str, Callable[[Path], str]] = {
    "configuration.md": configuration, "commands.md": commands, "alerts.md": alert_pages.english,
    "alerts.ja.md": alert_pages.japanese, "rights.md": rights, "catalogue.md": catalogue,
    "messages.md": messages_page,
}  # fmt: skip


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Every page of the reference with the text that it should have."""
    for name, render in PAGES.items():
        yield root / PLACE / name, render(root)


def _all(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _all(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _help(command: Any) -> str:
    return " ".join((command.help or "").split())


def _parameter(parameter: Any) -> tuple[str, str, str]:
    is_option = parameter.param_type_name == "option"
    opts = [*parameter.opts, *parameter.secondary_opts] if is_option else [parameter.name.upper()]
    names = ", ".join(code(name) for name in opts)
    default = parameter.default
    if parameter.secondary_opts and isinstance(default, bool):
        default = (parameter.opts if default else parameter.secondary_opts)[0]
    default_text = "required" if parameter.required else "" if default in (None, False, "", ()) else f"`{default}`"
    variable = f" (or `{parameter.envvar}`)" if isinstance(parameter.envvar, str) else ""
    return names, default_text, re.sub(r"\s+", " ", getattr(parameter, "help", "") or "") + variable
