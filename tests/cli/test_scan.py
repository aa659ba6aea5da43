"""Hard-coded regions elsewhere: a line in, its kind and what it becomes out."""

import os
import sys
from pathlib import Path

import pytest

from infra import scan
from tests.support import execute

OLD, NEW = "ap-southeast-2", "ap-northeast-1"
INFRA = Path(sys.executable).with_name("infra")
# Line → kind, and the line in the other region (None: it stays)
LINES = {
    "    image: 754724220380.dkr.ecr.ap-southeast-2.amazonaws.com/watchme-api-ast:latest": (
        "registry address", "    image: 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast:latest",
    ),
    "aws ecr get-login-password --region ap-southeast-2 | docker login": (
        "flag", "aws ecr get-login-password --region ap-northeast-1 | docker login",
    ),
    "aws s3 ls --region='ap-southeast-2'": ("flag", "aws s3 ls --region='ap-northeast-1'"),
    "AWS_REGION=ap-southeast-2": ("variable", "AWS_REGION=ap-northeast-1"),
    "AWS_REGION=${AWS_REGION:-ap-southeast-2}": ("variable", "AWS_REGION=${AWS_REGION:-ap-northeast-1}"),
    "  aws-region: ap-southeast-2": ("variable", "  aws-region: ap-northeast-1"),
    '  "region": "ap-southeast-2",': ("variable", '  "region": "ap-northeast-1",'),
    "s3 = boto3.client('s3', region_name='ap-southeast-2')": (
        "variable", "s3 = boto3.client('s3', region_name='ap-northeast-1')",
    ),
    "const region = process.env.AWS_REGION || 'ap-southeast-2'": (
        "variable", "const region = process.env.AWS_REGION || 'ap-northeast-1'",
    ),
    "zone = os.getenv('AWS', 'ap-southeast-2')": ("default", "zone = os.getenv('AWS', 'ap-northeast-1')"),
    "arn:aws:sns:ap-southeast-2:754724220380:alarms": ("ARN", "arn:aws:sns:ap-northeast-1:754724220380:alarms"),
    "https://bucket.s3.ap-southeast-2.amazonaws.com/x": ("endpoint", "https://bucket.s3.ap-northeast-1.amazonaws.com/x"),
    "https://ap-southeast-2.console.aws.amazon.com/ec2": (
        "console address", "https://ap-northeast-1.console.aws.amazon.com/ec2",
    ),
    "availability_zone: ap-southeast-2a": ("availability zone", "availability_zone: ap-northeast-1a"),
    # Tokyo has no zone b for new accounts
    "zones = [ap-southeast-2b, x]": ("availability zone", "zones = [ap-northeast-1c, x]"),
    "- リージョン: ap-southeast-2（シドニー）": ("text", "- リージョン: ap-northeast-1（シドニー）"),
    "bucket: watchme-ap-southeast-2-backups": ("part of a name", None),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_line(line):
    kind, becomes = LINES[line]
    (mention,) = scan.mentions_of(line, OLD, NEW)
    assert mention.kind == kind
    assert scan.replace_mentions(line, [mention]) == (becomes or line) and (mention.becomes is None) == (
        becomes is None
    )


@pytest.mark.parametrize(
    "line", ["us-ap-southeast-20", "xap-southeast-2", "ap-southeast-2abc", "AWS=ap-southeast-2 # infra:keep-region"]
)
def test_similar_names_are_not_mentions(line):
    assert not list(scan.mentions_of(line, OLD, NEW))


def test_all_mentions_in_a_line_are_changed():
    line = "cp s3://a --source-region ap-southeast-2 --region ap-southeast-2\r\nap-southeast-2c"
    mentions = list(scan.mentions_of(line, OLD, NEW))
    assert [(m.line, m.column) for m in mentions] == [(1, 26), (1, 50), (2, 0)]
    assert scan.replace_mentions(line, mentions) == line.replace("-2c", "-2d").replace(OLD, NEW)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("docker-compose.prod.yml", "compose file"), ("a/x.service", "systemd unit"), (".github/workflows/d.yml", "workflow"),
     ("run.sh", "shell"), ("a.py", "Python"), ("src/a.tsx", "TypeScript"), ("README.md", "document"), ("x.tf", "other"),
     (".env.prod", "environment file"), ("api/Dockerfile", "Dockerfile")],
)  # fmt: skip
def test_the_kind_of_a_file(path, kind):
    assert scan.kind_of_file(path) == kind


@pytest.fixture
def repository(tmp_path):
    texts = {
        "deploy.sh": "#!/bin/sh\naws ecr login --region ap-southeast-2\n",
        "app/main.py": "region = 'ap-southeast-2'\n",
        "node_modules/x/index.js": "ap-southeast-2\n",
        "clean.md": "nothing here\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "deploy.sh").chmod(0o755)
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0ap-southeast-2")
    # Shift-JIS: the region of Sydney
    (tmp_path / "memo.txt").write_bytes("シドニー: ap-southeast-2".encode("shift-jis"))
    (tmp_path / "link.py").symlink_to("app/main.py")
    return tmp_path


def infra(*argv):
    return execute(INFRA, "scan-regions", *argv, code=None)


def test_scan_shows_changes_and_writes_on_request(repository):
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    shown = infra(repository, "--from", OLD, "--to", NEW)
    assert shown.returncode == 2 and "3 mentions of ap-southeast-2 in 3 files, 3 left" in shown.stdout
    assert "deploy.sh:2: flag in a shell file: ap-southeast-2" in shown.stdout
    assert "-region = 'ap-southeast-2'\n+region = 'ap-northeast-1'" in shown.stdout
    assert {path: path.read_bytes() for path in before} == before

    written = infra(repository, "--from", OLD, "--to", NEW, "--write")
    assert written.returncode == 0 and "0 left" in written.stdout
    assert (repository / "deploy.sh").read_text() == "#!/bin/sh\naws ecr login --region ap-northeast-1\n"
    assert (repository / "deploy.sh").stat().st_mode & 0o777 == 0o755
    assert (repository / "memo.txt").read_bytes() == "シドニー: ap-northeast-1".encode("shift-jis")
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"deploy.sh", "main.py", "link.py", "memo.txt"}
    assert infra(repository, "--from", OLD, "--to", NEW).returncode == 0


def test_name_with_a_region_is_left_and_reported(repository):
    (repository / "deploy.sh").write_text("aws s3 sync . s3://watchme-ap-southeast-2-backups\n")
    written = infra(repository, "--from", OLD, "--to", NEW, "--write")
    assert written.returncode == 2 and "cannot be changed without knowing what has this name" in written.stdout
    assert "1 left" in written.stdout


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ((".", "--from", "sydney", "--to", NEW), "'sydney' is no region"),
        ((".", "--from", OLD, "--to", OLD), "name two regions"),
        (("/nowhere", "--from", OLD, "--to", NEW), "these paths do not exist: /nowhere"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(argv, line):
    ran = infra(*argv)
    assert ran.returncode == 1 and line in ran.stderr and "Traceback" not in ran.stderr


@pytest.mark.parametrize("place", ["シドニー", "Sydney", "sydney"])
def test_a_place_beside_a_changed_region_is_named(tmp_path, place):
    (tmp_path / "README.md").write_text(
        f"# server\n\n- region: ap-southeast-2 ({place})\n- Sydney's own line\n", "utf-8"
    )
    ran = infra(tmp_path, "--from", OLD, "--to", NEW, "--write")
    name = "シドニー" if place == "シドニー" else "Sydney"
    assert f"README.md:3: names {name} beside the region: places are not changed, correct it by hand" in ran.stdout
    assert ran.stdout.count("beside the region") == 1


def test_line_without_a_changed_region_is_not_reported(tmp_path):
    (tmp_path / "a.txt").write_text("Tokyo ap-southeast-2\nSydney\n")
    assert "beside the region" not in infra(tmp_path, "--from", OLD, "--to", NEW).stdout


def test_everything_that_is_not_looked_at_is_counted(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x").write_text(OLD)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "code/wide").write_bytes(OLD.encode("utf-16-le"))
    (tmp_path / "code/wide-be").write_bytes(OLD.encode("utf-16-be"))
    os.mkfifo(tmp_path / "pipe")
    passed = scan.PassedOver()
    assert list(scan.scan([tmp_path / "code", tmp_path / "pipe"], OLD, NEW, passed)) == []
    assert sorted(path.name for path in passed.unread) == ["linked", "pipe", "wide", "wide-be"]


# As `pip install --target` fills the folder of a Lambda function, and as people commit what was built
OF_OTHERS = {
    "lambda/botocore/data/endpoints.json": OLD,
    "lambda/botocore-1.34.dist-info/RECORD": "botocore/__init__.py,sha256=x,1\nsix.py,sha256=x,1\n../../bin/x,,\n",
    "lambda/botocore-1.34.dist-info/METADATA": OLD,
    "lambda/six.py": OLD,
    "old/pkg.egg-info/top_level.txt": "pkg\n",
    "old/pkg/__init__.py": OLD,
    "web/app.min.js": OLD,
    "web/app.js.map": OLD,
    "web/bundle.js": f"var a={'x' * 5000},b='{OLD}'\n",
    "node_modules/x/index.js": OLD,
    "web/bower_components/x/x.js": OLD,
}
OURS = {
    "lambda/handler.py": OLD, "lambda/settings.json": OLD, "lambda/boto.py": OLD, "old/pkgs/a.py": OLD, "web/app.js": f"'{OLD}'\n" * 9,
    "data.json": f"{'x' * 5000} {OLD}", "distribution/a.py": OLD,
}  # fmt: skip


def test_copies_of_other_peoples_work_are_passed_over_unless_asked(tmp_path):
    for name, text in {**OF_OTHERS, **OURS, ".git/config": OLD}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    ran = infra(tmp_path, "--from", OLD, "--to", NEW)
    assert {line.split(":")[0] for line in ran.stdout.splitlines() if ": code in" in line or " in a" in line} >= set(
        OURS
    )
    passed = scan.PassedOver()
    found = {file.name for file in scan.scan([tmp_path], OLD, NEW, passed)}
    assert found == set(OURS)
    assert {path.relative_to(tmp_path).as_posix() for path in passed.vendored} == {
        "lambda/botocore", "lambda/botocore-1.34.dist-info", "lambda/six.py", "old/pkg.egg-info", "old/pkg", "web/app.min.js",
        "web/app.js.map", "web/bundle.js", "node_modules", "web/bower_components",
    }  # fmt: skip
    assert "--vendored looks into them" in ran.stdout and "and 9 more" in ran.stdout
    everything = {file.name for file in scan.scan([tmp_path], OLD, NEW, everything=True)}
    assert everything == {*OURS, *(name for name, text in OF_OTHERS.items() if OLD in text)}
    assert "web/app.min.js" in infra(tmp_path, "--from", OLD, "--to", NEW, "--vendored").stdout


def deeper(place: Path, levels: int) -> None:
    """Makes nested folders, at last deeper than a path can name, and a file on each level."""
    here = os.open(place, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("dd", dir_fd=here)
        below = os.open("dd", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_deep_tree_is_scanned_to_the_limit_and_the_rest_reported(tmp_path):
    (tmp_path / "z.txt").write_text(OLD)
    (tmp_path / "a").mkdir()
    deeper(tmp_path / "a", 1500)
    passed = scan.PassedOver()
    try:
        assert [file.name for file in scan.scan([tmp_path], OLD, NEW, passed)] == ["z.txt"]
        assert passed.unread and all(path.name in ("dd", "x") for path in passed.unread)
    finally:
        execute("rm", "-rf", str(tmp_path / "a"))


def test_a_line_break_in_a_name_begins_no_line_of_the_diff(tmp_path):
    (tmp_path / "a\n+++ b").write_text(OLD)
    ran = infra(tmp_path, "--from", OLD, "--to", NEW)
    assert "--- a/a\\n+++ b" in ran.stdout.splitlines()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    (path.parent / "elsewhere").write_text("ours.py,,\n")
    path.symlink_to("elsewhere")


def huge(path: Path) -> None:
    path.write_text("ours.py,,\n")
    os.truncate(path, 2**31)


@pytest.mark.parametrize("make", [fifo, link, huge])
def test_package_records_are_read_only_from_regular_files(tmp_path, make):
    (tmp_path / "pkg.dist-info").mkdir()
    make(tmp_path / "pkg.dist-info/RECORD")
    (tmp_path / "ours.py").write_text(OLD)
    assert [file.name for file in scan.scan([tmp_path], OLD, NEW)] == ["ours.py"]
