"""Files as people leave them: each is refused with its name and, where there is one, the line; none is a fault of ours."""

import os
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from catalogue.files import LARGEST, parse_toml, parse_yaml, read_bytes, read_json, read_yaml
from catalogue.loading import load
from catalogue.problems import CatalogueError
from catalogue.stack import read_stack
from tests.support import ROOT

# Nine aliases in each of twelve lines stand for 9^12 values
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
WRONG_YAML = {
    "syntax": (b"a: 1\nb: [\n", "line 3: did not find expected node content"),
    "a tab": (b"a:\n\tx: 1\n", "line 2: a tab, which YAML does not allow as indentation; use spaces"),
    "not UTF-8": (b"a: 1\nb: \xff\n", "line 2: byte 0xff is not UTF-8; save the file as UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "line 1: the file is in UTF-16"),
    "UTF-32": ("a: 1\n".encode("utf-32"), "line 1: the file is in UTF-32; save the file as UTF-8"),
    "UTF-32 without its mark": ("a: 1\n".encode("utf-32-be"), "line 1: the file is in UTF-32"),
    "UTF-32 the other way": ("a: 1\n".encode("utf-32-le"), "line 1: the file is in UTF-32"),
    "UTF-16 without its mark": ("a: 1\n".encode("utf-16-be"), "line 1: the file is in UTF-16"),
    "Shift_JIS": ("a: 1\nb: 音声\n".encode("shift_jis"), "line 2: byte 0x89 is not UTF-8"),
    "a control character": (b"a: 1\nb: \x07\n", "line 2: "),
    "a tag": (
        b"a: 1\nb: !!python/object:os.system {}\n",
        "line 2: the tag !!python/object:os.system has no meaning here; remove it: a text, a number",
    ),
    "a tag of a program's": (b"a: !Ref x\n", "line 1: the tag !Ref has no meaning here; remove it"),
    "a sign of YAML's": (b"a: =\n", "line 1: = alone has a special meaning in YAML; put it in quotes"),
    "a merge of nothing": (b"a: 1\nb: <<\n", "line 2: << alone has a special meaning in YAML; put it in quotes"),
    "a reset": (b"a: !reset null\n", "line 1: !reset is for merging compose files, but only one is read here"),
    "an override": (b"a: !override {x: 1}\n", "line 1: !override is for merging compose files"),
    "a space that does not break": (
        "a:\n\xa0\xa0b: 1\n".encode(),
        "line 2: U+00A0 (NO-BREAK SPACE) beside the key 'b'; use",
    ),
    "a wide space": (
        "a: 1\nb\u3000: 1\n".encode(),
        "line 2: U+3000 (IDEOGRAPHIC SPACE) beside the key 'b'; use spaces",
    ),
    "a wide colon": ("a: 1\nb\uff1a 1\n".encode(), "line 2 has U+FF1A (FULLWIDTH COLON), but YAML expects : there"),
    "a wide colon in a list": (
        "a:\n  - b\uff1a x\n    c: y\n".encode(),
        "line 2 has U+FF1A (FULLWIDTH COLON), but YAML",
    ),
    "quotes of a document": (
        "a: \u201cx: y\u201d\n".encode(),
        "line 1 has U+201C (LEFT DOUBLE QUOTATION MARK), but YAML",
    ),
    "an unknown alias": (
        b"a: *nothing\n",
        "line 1: an alias (*NAME) without an &NAME above; mark the value with &NAME",
    ),
    "in itself": (b"a: 1\nb: &b\n  x: *b\n", "line 3: alias *b is inside the value that it refers to"),
    "a list in itself": (b"a: &a [*a]\n", "line 1: alias *a is inside the value that it refers to"),
    "a bomb": (BOMB.encode(), "line 6: more than 200000 values"),
    "too deep": (b"[" * 100_000, "line 1: more than 60 levels"),
    "mappings too deep": (b"{a: " * 5_000, "line 1: more than 60 levels"),
    "a number as key": (b"a: 1\n1: 2\n", 'line 2: key 1, which YAML does not read as a text; put it in quotes: "1"'),
    "a truth as key": (b"a:\n  on: 2\n", 'line 2: key on, which YAML does not read as a text; put it in quotes: "on"'),
    "nothing as key": (b"a: 1\n~: 2\n", "line 2: key ~, which YAML does not read as a text; put it in quotes"),
    "a list as key": (b"? [a]\n: 1\n", "line 1: a key is a list or a mapping"),
    "a key twice": (
        b"a: 1\na: 2\n",
        "line 2: key 'a' is defined twice: here and on line 1; each key of a mapping once",
    ),
    "no such date": (
        b"a: 1\nb: 2026-13-01\n",
        "line 2: '2026-13-01', which YAML takes for a date or a time, but it is not valid; put it in quotes",
    ),
    "no such number": (
        b"a: 1\nb: 0b\nc: -0x_\n",
        "line 3: '-0x_', which YAML takes for a number, but it is not valid; put it in quotes",
    ),
    "a tag that does not fit": (
        b"a: !!bool x\n",
        "line 1: 'x', which YAML takes for true or false, but it is not valid",
    ),
    "a time that is none": (b"a: !!timestamp x\n", "line 1: 'x', which YAML takes for a date or a time"),
    "a number that is none": (b'a: !!int ""\n', "line 1: '', which YAML takes for a number"),
    "a set": (b"a: !!set [x]\n", "file: a value does not fit its type"),
    "half a character": (b'"\\ud800": 1\n', ""),
    "a number to the base 60 without an end": (
        b"a: 1" + b":1" * 400_000 + b"\n",
        "line 1: a number of more than 100 digits",
    ),
    "a hexadecimal number without an end": (b"a: 0x" + b"f" * 4000 + b"\n", "line 1: a number of more than 100 digits"),
    "a merge with a text": (b"a:\n  <<: x\n", "line 2: << is not followed by a mapping; <<: *NAME"),
    "a mapping that is none": (
        b"a: !!map x\n",
        "; a text, a number, true or false, a list or a mapping, without a tag",
    ),
    "a colon in a text": (
        b"a: b: c\n",
        "line 1: mapping values are not allowed in this context; quote a text with a colon and a space",
    ),
    "a sign at the beginning": (
        b"a: @x\n",
        "line 1: found character that cannot start any token; quote a text that begins with @, %, ` or the like",
    ),
    "a star": (b"a: *\n", "; quote a text that begins with * or &"),
    "a path of Windows": (b'a: "C:\\x\\d"\n', "; between double quotes write each \\ twice"),
    "two documents": (b"a: 1\n---\nb: 1\n", "line 2: a second document begins here; one document per file"),
}


@pytest.mark.parametrize(("content", "line"), WRONG_YAML.values(), ids=WRONG_YAML)
def test_wrong_yaml_is_named_with_its_line(tmp_path, content, line):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(CatalogueError) as error:
        read_yaml(path, "files/x.yaml")
    assert str(error.value).startswith("error: files/x.yaml: ") and line in str(error.value)
    assert "\n" not in str(error.value)


# What is no YAML at all
OF_SYNTAX = {"syntax", "a wide colon", "a wide colon in a list", "quotes of a document"}


@pytest.mark.parametrize("case", WRONG_YAML)
def test_error_in_valid_yaml_does_not_ask_for_valid_yaml(tmp_path, case):
    path = tmp_path / "x.yaml"
    path.write_bytes(WRONG_YAML[case][0])
    with pytest.raises(CatalogueError) as error:
        read_yaml(path, "files/x.yaml")
    assert ("write valid YAML" in str(error.value)) == (case in OF_SYNTAX), str(error.value)


def test_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "x"
    for text, read in (("a: 1\n", read_yaml), ('{"a": 1}', read_json)):
        path.write_text(text, encoding="utf-8-sig")
        assert read(path, "x") == {"a": 1}
    assert parse_toml("a = 1".encode("utf-8-sig"), "x") == {"a": 1}


WRONG_TOML = {
    "syntax": (b"a = 1\nb = \n", "line 2: invalid value"),
    "its end": (b"a = 1\nb = [", "line 2: invalid value"),
    "a key twice": (b"a = 1\na = 2\n", "line 2: cannot overwrite a value"),
    "Shift_JIS": ("a = 1\n# 音声\n".encode("shift_jis"), "line 2: byte 0x89 is not UTF-8"),
    "UTF-16": ("a = 1\n".encode("utf-16"), "line 1: the file is in UTF-16"),
    "a control character": (b"a = 1\nb = '\x07'\n", "line 2: found invalid character"),
    "too deep": (b"a = " + b"[" * 100_000, "are nested too deeply"),
    "a number without an end": (b"a = " + b"9" * 5000, "file: a number with thousands of digits"),
}


@pytest.mark.parametrize(("content", "line"), WRONG_TOML.values(), ids=WRONG_TOML)
def test_wrong_toml_is_named_with_its_line(content, line):
    with pytest.raises(CatalogueError) as error:
        parse_toml(content, "files/static/x.toml")
    assert str(error.value).startswith("error: files/static/x.toml: ") and line in str(error.value)


def test_yaml_anchors_and_merges_are_read(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  y: 'é'\n")
    assert read_yaml(path, "x.yaml") == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": "é"}}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, LARGEST + 1)


NO_FILES = {
    "missing": (lambda path: None, "does not exist; restore it, or correct its name"),
    "a directory": (Path.mkdir, "is a directory; put a regular file there"),
    "a pipe": (fifo, "is a pipe, a socket or a device"),
    "a socket": (unix_socket, "cannot be read: No such device or address"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a pipe, a socket or a device"),
    "a link to itself": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    "too large": (too_large, f"has more than {LARGEST} bytes"),
}


@pytest.mark.parametrize(("make", "line"), NO_FILES.values(), ids=NO_FILES)
def test_unreadable_file_is_refused_at_once(tmp_path, make, line):
    path = tmp_path / "x"
    make(path)
    with pytest.raises(CatalogueError) as error:
        read_bytes(path, "files/x")
    assert f"error: files/x: file: {line}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "line 1: Expecting value"),
        ("{\n1", "line 2: "),
        ("[" * 100_000, "too deep"),
        ("9" * 5000, "a number with thousands of digits"),
    ],
    ids=["empty", "cut off", "too deep", "a number without an end"],
)
def test_wrong_json_is_named(tmp_path, text, line):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CatalogueError) as error:
        read_json(path, "x.json")
    assert line in str(error.value)


@pytest.mark.parametrize("text", [BOMB, "a: &a [*a]", "[" * 100_000, "a: 2026-13-01", "a: \x07"])
def test_invalid_yaml_of_a_host_raises_a_yaml_error(text):
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)


STACKS = {
    "a list": ("[1]\n", "file: is a list"),
    "a text": ("hello\n", "file: is a single value"),
    "a list below config": ("config: [1]\n", "config: is a list"),
    "a text below config": ("config: hello\n", "config: is a single value"),
    "a number as key": ("config:\n  1: 2\n", "line 2: key 1, which YAML does not read as a text"),
    "nothing": ("", "infra:acmeEmail: field 'acmeEmail' is missing"),
    "only config": ("config:\n", "infra:acmeEmail: field 'acmeEmail' is missing"),
}


@pytest.mark.parametrize(("text", "line"), STACKS.values(), ids=STACKS)
def test_an_odd_stack_file_is_named(tmp_path, text, line):
    (tmp_path / "Pulumi.prod.yaml").write_text(text)
    with pytest.raises(CatalogueError) as error:
        read_stack(tmp_path, "prod")
    assert f"Pulumi.prod.yaml: {line}" in str(error.value)


def test_links_in_a_circle_are_no_source(tmp_path):
    shutil.copytree(ROOT / "files", tmp_path / "files")
    source = tmp_path / "files/static/recall/gunicorn.conf.py"
    source.unlink()
    source.symlink_to("gunicorn.conf.py")
    assert "recall/gunicorn.conf.py" not in load(tmp_path, read_stack(ROOT, "prod")).sources


def test_a_static_file_that_is_too_large_is_named(tmp_path):
    shutil.copytree(ROOT / "files", tmp_path / "files")
    source = next(path for path in (tmp_path / "files/static").rglob("*") if path.suffix == ".toml")
    os.truncate(source, 1024**2 + 1)
    with pytest.raises(CatalogueError) as error:
        load(tmp_path, read_stack(ROOT, "prod"))
    assert f"files/static/{source.relative_to(tmp_path / 'files/static')}: file: has more than 1048576 bytes; " in str(
        error.value
    )
    assert "bring it as an artefact: {repository, tag, into}, pushed by uv run infra push" in str(error.value)
