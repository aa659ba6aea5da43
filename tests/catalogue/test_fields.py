"""What a text of the catalogue may be, by the place where it ends: a path, one line, a host name, a path of a URL."""

import shutil

import pytest
import yaml
from pydantic import ValidationError

from catalogue.checks import check
from catalogue.loading import read_sources
from catalogue.models import System
from catalogue.problems import CatalogueError, Problem
from catalogue.validation import INSTEAD, Document, problems_of
from tests.catalogue.changes import configured, setting
from tests.support import ROOT, catalogue, changed, service, whole

OWN = [
    "/etc/passwd", "/etc/shadow", "/etc/sudoers.d/app", "/etc/ssh/sshd_config", "/var/lib/infra/current", "/run/infra/x",
    "/usr/bin/python3", "/root/.ssh/authorized_keys", "/home/ubuntu/.ssh/authorized_keys", "/etc/systemd/system/infra-x.service",
    "/srv/app/../../etc/passwd", "/proc/sys/x", "/dev/sda", "//etc/passwd", "/etc//passwd", "/etc/./passwd", "/var/run/infra/x", "/etc/cron.d/x",
    "/etc/sudoers.d", "/lib64/x",
]  # fmt: skip
FREE = [
    "/etc/app/app.toml",
    "/srv/app",
    "/opt/app",
    "/etc/systemd/journald.conf.d/app.conf",
    "/usr/local/bin/app",
    "/home/app/x",
]


@pytest.mark.parametrize("path", OWN)
def test_a_path_of_the_host_is_no_services(path):
    made = catalogue(lambda data: data.update(directories=[{"path": path, "owner": "root"}]))
    assert f"path {path} belongs to the host or the agent" in "\n".join(map(str, check(made)))


@pytest.mark.parametrize("path", FREE)
def test_ordinary_paths_are_accepted(path):
    made = catalogue(lambda data: data.update(directories=[{"path": path, "owner": "root"}]))
    assert "belongs to the host or the agent" not in "\n".join(map(str, check(made)))


# As a file is read, or as the tests make a system without one
REFUSED = (CatalogueError, ValidationError)
LINE_BREAKS = ["a\nb", "a\rb", "a\x00b", "a\x1b[2Jb", "a\u2028b", "a\u202eb", "a\u2066b"]


@pytest.mark.parametrize("text", LINE_BREAKS, ids=ascii)
def test_text_of_one_line_has_no_line_break(text):
    """A purpose becomes a unit's Description, a header a line of the proxy's."""
    with pytest.raises(REFUSED, match="purpose"):
        catalogue(setting("admin", purpose=text))
    with pytest.raises(REFUSED, match="headers"):
        catalogue(lambda data: data["sites"][0].update(headers={"X-A": text}))


NO_NAMES = [
    "../../cron.d/x.hey-watch.me",
    "x;return 200 'y';\n#.hey-watch.me",
    "A.hey-watch.me",
    "-a.hey-watch.me",
    "a..b",
    "a" * 65 + ".me",
    "a" * 64,
    "10.0.0.1",
    "音声.example.com",
    "a.b_c.me",
    "localhost",
    "x\n",
]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_invalid_host_name_is_refused(name):
    with pytest.raises(REFUSED, match="names"):
        catalogue(config=configured(names={"api.hey-watch.me": name}))
    with pytest.raises(REFUSED, match="name"):
        catalogue(lambda data: data["sites"][0].update(name=name))
    with pytest.raises(REFUSED, match="zone"):
        catalogue(config=configured(zone=name))


@pytest.mark.parametrize("name", ["xn--jprz9m.example.com", "a" * 60 + ".me", "1.2.3.4.nip.io", "a-b.xn--q9jyb4c"])
def test_ordinary_host_names_are_accepted(name):
    catalogue(config=configured(names={"api.hey-watch.me": name}))


@pytest.mark.parametrize("path", ["health", "/a b", "/a\nb", '/a"b', "/a{b}", "/a#b"], ids=ascii)
def test_invalid_url_path_is_refused(path):
    with pytest.raises(REFUSED, match="health"):
        catalogue(setting("admin", health=path))


@pytest.mark.parametrize(
    "source", ["../../etc/shadow", "/etc/shadow", "a/../../b", ".env", "a//b", "a/.ssh/id", "a\nb", ""]
)
def test_a_source_lies_below_its_directory(source):
    with pytest.raises(REFUSED, match="source"):
        changed(whole(), "recall", lambda data: service(data, "recall-api")["files"][0].update(source=source))


def test_source_behind_a_link_out_of_its_directory_is_not_read(tmp_path):
    project = tmp_path / "project"
    shutil.copytree(ROOT / "files", project / "files", symlinks=True)
    (tmp_path / "secret").write_text("key")
    source = project / "files/static/recall/gunicorn.conf.py"
    source.unlink()
    source.symlink_to(tmp_path / "secret")
    systems = {"recall": System.model_validate(yaml.safe_load((ROOT / "files/systems/recall.yaml").read_text()))}
    assert "recall/gunicorn.conf.py" not in read_sources(project, systems, [])


@pytest.mark.parametrize(("field", "said"), INSTEAD.items())
def test_compose_option_with_another_name_here_is_explained(field, said):
    with pytest.raises(ValidationError) as raised:
        catalogue(lambda data: data["services"][0].update({field: "x"}))
    (problem,) = problems_of(raised.value, Document("x.yaml", lambda _: "a service"))
    assert problem.message == f"x.yaml: a service: unknown field {field!r}; {said}"


@pytest.mark.parametrize("part", ["file", "where", "found", "allowed"])
def test_problem_is_one_printable_line(part):
    parts = dict.fromkeys(("file", "where", "found", "allowed"), "x") | {part: "a\n::error::forged\x1b[31m\u202e"}
    assert str(Problem(**parts)).isprintable() and r"a\n::error::forged" in str(Problem(**parts))
