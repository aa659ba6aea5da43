"""`configs` of an upstream compose file: files that come with the release, or a line that says why not."""

import pytest

from catalogue.problems import CatalogueError
from tests.catalogue.upstream import UPSTREAM, read, services

TOP = "volumes:\n  pgdata:"
CONFIGS = "configs:\n  web: {file: ./conf/web.ini}\n  inline: {content: a=b}\n  away: {file: ../x}\n" + TOP


def given(configs: str, top: str = CONFIGS) -> str:
    text = UPSTREAM.replace("    mem_limit: 512m\n", f"    mem_limit: 512m\n    configs: {configs}\n")
    return text.replace(TOP, top)


def laid(folder):
    place = folder / "files/static/paperless/conf"
    place.mkdir(parents=True)
    (place / "web.ini").write_text("a=b\n")
    return folder


@pytest.mark.parametrize(
    ("configs", "files"),
    [
        ("[web]", [{"path": "/web", "source": "paperless/conf/web.ini"}]),
        ("[{source: web, target: /etc/web.ini}]", [{"path": "/etc/web.ini", "source": "paperless/conf/web.ini"}]),
        ("[{source: web, mode: 0440}]", [{"path": "/web", "source": "paperless/conf/web.ini", "mode": "0440"}]),
        ('[{source: web, mode: "0o400"}]', [{"path": "/web", "source": "paperless/conf/web.ini", "mode": "0400"}]),
        ("[{source: web, mode: 292}]", [{"path": "/web", "source": "paperless/conf/web.ini", "mode": "0444"}]),
        ("[]", []),
    ],
)
def test_config_file_beside_the_compose_file_is_included(tmp_path, configs, files):
    found = services(read(laid(tmp_path), given(configs)))["webserver"]
    assert found.get("files", []) == files


REFUSED = {
    "content": ("[inline]", "configs: inline has content besides file: put its content into a file beside the compose file"),
    "a name that is not there": ("[other]", "configs: the file has no config other"),
    "out of its directory": ("[away]", "configs: away: ../x is not beside the compose file"),
    "an owner": ("[{source: web, uid: '33'}]", "configs: web: uid: the catalogue has no such option"),
    "a mode that is none": ("[{source: web, mode: rw}]", "configs: web: 'rw' is not a mode; use one such as 0440"),
    "a number": ("5", "configs: the file has no config 5"),
    "a list in it": ("[[web]]", "configs: the file has no config ['web']"),
}  # fmt: skip


@pytest.mark.parametrize(("configs", "line"), REFUSED.values(), ids=REFUSED)
def test_invalid_config_is_reported(tmp_path, configs, line):
    with pytest.raises(CatalogueError) as raised:
        read(laid(tmp_path), given(configs))
    assert line in str(raised.value)


@pytest.mark.parametrize(
    "top", ["configs: [web]\n", "configs: 5\n", "configs: {web: 5}\n", "configs: {web: {file: 5}}\n", ""]
)
def test_malformed_config_definitions_are_reported(tmp_path, top):
    with pytest.raises(CatalogueError) as raised:
        read(laid(tmp_path), given("[web]", top + TOP))
    assert "service webserver: configs: " in str(raised.value)
    assert "the file has no config web" in str(raised.value) or "web has no path as file" in str(raised.value)
