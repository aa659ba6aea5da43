"""What the variables of an upstream compose file are: of its containers, and `${…}` in it. Pure."""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from catalogue.compose.environment import of_file, pairs
from catalogue.compose.fields import EnvironmentField
from catalogue.compose.variables import fill_variables, missing
from catalogue.masking import mask_secrets
from catalogue.masking.names import is_secrets_name
from catalogue.shapes import ComposeBody, is_list, is_mapping

# How the catalogue says what has a secret in it: a shell of the container fills it in
_SHELL = "[sh, -c, 'exec PROGRAM --option \"${name}\"']"
IN_A_SHELL = {
    "command": f"command: {_SHELL}", "entrypoint": f"entrypoint: {_SHELL}",
    "healthcheck": "health: {{command: 'PROGRAM --option \"${name}\"'}}",
}  # fmt: skip
SETTING = re.compile(
    r"[-_](method|type|mode|algorithm|alg|provider|backend|driver|domain|name|user|username|host|port|scopes?|issuer)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Values:
    """Fills in what a service's variables are. `variables` are the values of `${…}`; `beside` gives the text of what
    lies at a path relative to the file, or None; `add` takes where, what was found, and what is allowed."""

    variables: Mapping[str, str]
    beside: Callable[[str], str | None]
    add: Callable[[str, str, str], None]

    def with_files(self, where: str, body: ComposeBody, options: Mapping[str, Any], own: Set[str]) -> EnvironmentField:
        """`environment` with what the files of `env_file` say, where they lie beside the compose file. Of those `own`
        the catalogue has the values."""
        paths = env_files(body)
        texts = {path: self.beside(normpath(path)) for path in paths}
        missing_paths = [path for path, is_required in paths.items() if texts[path] is None and is_required]
        if not paths or missing_paths:
            return {}
        body.pop("env_file")
        variables: dict[str, str | None] = {}
        for path, text in texts.items():
            try:
                of_one = of_file(text or "")
            except ValueError as error:
                self.add(f"{where}: env_file", f"{path}: {error}", "a file that Docker Compose can read")
                continue
            for name, value in of_one.items():
                if name not in own and self._is_secret(name, value):
                    self.add(f"{where}: env_file", f"{path} has {name}, a secret in plain text", _instead(name))
            variables |= of_one
        return {"environment": {**variables, **pairs(options.get("environment"))}}

    def report_plain_secrets(self, where: str, body: Mapping[str, Any], own: Set[str]) -> None:
        """A problem for each secret in plain text of `environment`, but for those that the catalogue has values of."""
        for name, value in pairs(body.get("environment")).items():
            if name not in own and self._is_secret(name, value):
                self.add(f"{where}: environment.{name}", "is a secret in plain text", _instead(name))

    def _is_secret(self, name: str, value: Any) -> bool:
        """Whether a variable is one by its name, or has one in its value, such as a password in an address."""
        if not isinstance(value, str | int) or isinstance(value, bool) or missing(str(value), self.variables):
            return False
        # How something secret is used is none; its value may be one all the same
        name = "value" if SETTING.search(name) else name
        line = f"{name}={' '.join(str(fill_variables(str(value), self.variables)).split())}\n"
        return mask_secrets(".env", line) != line

    def environment(self, where: str, body: Mapping[str, Any], secrets: Set[str]) -> dict[str, str]:
        """The plain variables of a container."""
        environment: dict[str, str] = {}
        for name, value in pairs(body.get("environment")).items():
            if name in secrets:
                continue
            text = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
            text = None if text is None else str(text)
            lacking = [name] if text is None else missing(text, self.variables)
            if text is None and name in self.variables:
                environment[str(name)] = self.variables[name]
            elif lacking or text is None:
                rule = f"name {name} under secrets of the service, or give compose: {{variables: {{{lacking[0]}: …}}}}"
                self.add(f"{where}: environment.{name}", f"${{{lacking[0]}}} has no value", rule)
            else:
                environment[str(name)] = fill_variables(text, self.variables).replace("$$", "$")
        return environment

    def report_missing(self, where: str, value: Any, key: str = "") -> None:
        """A problem for each variable that has no value."""
        if is_mapping(value):
            for name, item in value.items():
                self.report_missing(where, item, f"{key}.{name}" if key else str(name))
        elif is_list(value):
            for item in value:
                self.report_missing(where, item, key)
        elif isinstance(value, str):
            for name in missing(value, self.variables):
                rule = f"compose: {{variables: {{{name}: …}}}} in the catalogue"
                field = IN_A_SHELL.get(key.partition(".")[0])
                if field and is_secrets_name(name):
                    rule = (
                        f"a secret is a variable of the container, never a part of its command: secrets: [{name}] and "
                        f"{field.format(name=name)} of the service in the catalogue"
                    )
                self.add(f"{where}: {key}", f"${{{name}}} has no value", rule)


def env_files(body: Mapping[str, Any]) -> dict[str, bool]:
    """The paths of `env_file`, and whether each has to be there."""
    value = body.get("env_file")
    items = value if is_list(value) else [value] if value else []
    return {
        str(item.get("path") if is_mapping(item) else item): not is_mapping(item) or item.get("required") is not False
        for item in items
    }


def _instead(name: str) -> str:
    return (
        f"name {name} under secrets of the service (infra secret import sets the values of a file), and remove its "
        "value there; if it is no secret, set it under environment of the service"
    )
