"""No text of a catalogue writes configuration: whatever stands in a field is refused, or means itself in every file."""

import io
import re
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from typing import Any

import crossplane
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catalogue.checks import ensure_valid
from catalogue.loading import Catalogue
from catalogue.problems import CatalogueError
from catalogue.variants import apply_variant
from rendering.files import HostFiles
from rendering.host import render
from tests.rows import EVERYTHING
from tests.support import ROOT, changed, whole

SYSTEMS = ("watchme", "whisper", "recall", "totton", "vocoder")
PIECES = (
    "\n", "\r", "\t", "\0", "\x1b", "\u2028", "\u202e", " ", ";", "{", "}", "(", ")", "[", "]", '"', "'", "\\", "%", "%n", "$",
    "${x}", "$uri", "`id`", "#", "//", "../", "/", "&", "|", "=", ":", ",", "<", ">", "*", "é", "\nExecStart=/bin/sh", "; return 204;",
    "} server {", "\n\n[Service]\nUser=root", "\\\n", "x", "0",
)  # fmt: skip
hostile = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), min_size=1, max_size=5).map("".join)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def leaves(value: Any, path: tuple = ()) -> list[tuple]:
    """The places of all text in a value, a mapping's keys aside."""
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [place for number, item in enumerate(value) for place in leaves(item, (*path, number))]
    return [path] if isinstance(value, str) else []


def put(value: Any, path: tuple, how: str, text: str) -> None:
    for key in path[:-1]:
        value = value[key]
    old = value[path[-1]]
    value[path[-1]] = {"instead": text, "after": old + text, "before": text + old}[how]


@cache
def base() -> Catalogue:
    return whole()


@cache
def places(name: str) -> list[tuple]:
    return leaves(
        apply_variant(
            yaml.safe_load((ROOT / f"files/systems/{name}.yaml").read_text()), base().stack.variants.get(name)
        )
    )


@cache
def rendered(name: str) -> dict[str, bytes]:
    return {file.path: file.content for file in files_of(base(), name).files}


def files_of(made: Catalogue, name: str) -> HostFiles:
    host = next(host for host in made.stack.hosts if name in made.stack.hosts[host].runs)
    return render(made, host)


# What a file says, without its values


def nginx_shape(content: bytes, folder: Path) -> Any:
    (folder / "site").write_bytes(content)
    said = crossplane.parse(str(folder / "site"), single=True, check_ctx=False, check_args=False)
    assert said["status"] == "ok", said["errors"]

    def of(block: list[dict]) -> list:
        return [(item["directive"], len(item["args"]), of(item.get("block", []))) for item in block]

    # Nginx has no other way to write a dollar
    return [item for item in of(said["config"][0]["parsed"]) if item != ("geo", 1, [("default", 1, [])])]


def unit_shape(content: bytes, _: Path) -> list[str]:
    """Sections and directives; a line that ends with a backslash goes on."""
    text = content.decode()
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines()]
    return [line if line.startswith("[") else line.split("=")[0] for line in lines if line and line[0] not in "#;"]


def yaml_shape(content: bytes, _: Path) -> Any:
    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return sorted(map(str, (of(item) for item in value.values())))
        return [of(item) for item in value] if isinstance(value, list) else type(value).__name__

    return of(yaml.safe_load(content))


def caddy_shape(content: bytes, _: Path) -> list[int]:
    return [len(line) - len(line.lstrip("\t")) for line in content.decode().splitlines()]


def lines_shape(content: bytes, _: Path) -> int:
    return content.count(b"\n")


def shape_of(path: str):
    if path.startswith("/etc/nginx/"):
        return nginx_shape
    if "systemd" in path:
        return unit_shape
    if path.endswith((".yml", ".yaml")):
        return yaml_shape
    return caddy_shape if "caddy" in path.lower() else lines_shape


@pytest.mark.parametrize("name", SYSTEMS)
def test_any_text_of_a_field_is_refused_or_rendered_literally(name, tmp_path):
    tried = {"refused": 0, "rendered": 0}

    @settings(
        max_examples=400 if EVERYTHING else 40,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    # Of a system with few free texts, chance alone may try none of them
    @example(("services", 0, "purpose"), "after", " x")
    @given(st.sampled_from(places(name)), st.sampled_from(("instead", "after", "before")), hostile)
    def holds(place, how, text):
        try:
            made = changed(base(), name, lambda data: put(data, place, how, text))
            with redirect_stderr(io.StringIO()):
                ensure_valid(made)
            found = files_of(made, name)
        except (ValidationError, CatalogueError):
            found = None
        if found is None:
            tried["refused"] += 1
            return
        tried["rendered"] += 1
        before = rendered(name)
        for file in found.files:
            assert ".." not in file.path.split("/") and not CONTROL.search(file.path), (place, file.path)
            if file.content == before.get(file.path):
                continue
            assert not CONTROL.search(file.content.decode()), (place, file.path)
            if file.path in before:
                shape = shape_of(file.path)
                assert shape(file.content, tmp_path) == shape(before[file.path], tmp_path), (place, file.path)

    holds()
    assert tried["rendered"] and tried["refused"], tried


def test_percent_signs_are_escaped_for_systemd():
    made = changed(base(), "watchme", lambda data: put(data, ("services", 0, "purpose"), "instead", "100 % of %n"))
    units = [file.content.decode() for file in files_of(made, "watchme").files if file.path.endswith(".service")]
    assert any("Description=100 %% of %%n\n" in unit for unit in units)


def test_the_shapes_would_differ():
    """What is looked for would be found."""
    folder = Path("/tmp")
    unit = b"[Unit]\nDescription=a\n"
    assert unit_shape(unit, folder) != unit_shape(b"[Unit]\nDescription=a\nExecStart=x\n", folder)
    assert caddy_shape(b"a {\n\tb\n}\n", folder) != caddy_shape(b"a {\n\tb\n}\nc {\n}\n", folder)
    assert yaml_shape(b"a: {b: c}", folder) != yaml_shape(b"a: {b: c, d: e}", folder)
