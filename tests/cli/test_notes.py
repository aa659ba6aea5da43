"""What a checkout remembers of its own work: never through a link, never from a pipe, and never a traceback."""

import os

import pytest

from infra import locks, notes, unfinished_jobs, unlocking
from infra.errors import InfraError
from infra.move import attempts
from infra.move.report import Latency
from infra.ssh import Target
from infra.unfinished_jobs import Unfinished
from infra.writing import below, fill_directory, put_below, remove_below

TARGET = Target("web1", "192.0.2.1", 22, "root", "ssh-ed25519 AAAA", "key")
JOB = Unfinished("j1", "release", None)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    return tmp_path


def remember_all() -> None:
    """As commands do it: some go on where nothing can be kept."""
    locks.remember("prod", os.getpid())
    unfinished_jobs.remember(TARGET, JOB)
    attempts.keep("prod", "ap-northeast-1", attempts.Attempts(1.0))


def test_stored_notes_are_read_back(project):
    remember_all()
    assert locks.read_engine("prod") == locks.identify(os.getpid()) and unfinished_jobs.read_job(TARGET) == JOB
    assert attempts.read_attempts("prod", "ap-northeast-1") is not None
    unfinished_jobs.forget(TARGET)
    attempts.forget("prod", "ap-northeast-1")
    assert unfinished_jobs.read_job(TARGET) is None and attempts.read_attempts("prod", "ap-northeast-1") is None


@pytest.mark.parametrize("at", [".infra", ".infra/engines", ".infra/jobs", ".infra/moves"])
def test_a_link_on_the_way_leads_nowhere(project, tmp_path_factory, at):
    victim = tmp_path_factory.mktemp("victim")
    (project / at).parent.mkdir(exist_ok=True)
    (project / at).symlink_to(victim)
    locks.remember("prod", os.getpid())
    unfinished_jobs.remember(TARGET, JOB)
    unfinished_jobs.forget(TARGET)
    if at in (".infra", ".infra/moves"):
        with pytest.raises(InfraError, match="is a link, and a directory of the project is to be there"):
            attempts.keep("prod", "ap-northeast-1", attempts.Attempts(1.0))
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("text", [None, "", "[", "[1]", "5", '{"id": 1}', "[" * 100_000, '{"pid": Infinity}', "\xff"])
def test_unreadable_note_is_ignored(project, text):
    """None: a pipe, which no one writes to."""
    remember_all()
    for path in (project / ".infra").rglob("*.json"):
        path.unlink()
        os.mkfifo(path) if text is None else path.write_text(text, encoding="latin-1")
    assert locks.read_engine("prod") is None and unfinished_jobs.read_job(TARGET) is None
    assert attempts.read_attempts("prod", "ap-northeast-1") is None


MOVE = {"began": 1.0, "before": {"a": {"open": 1.0, "new": 2.0}}, "steps": [["a", "did", 1.0]], "spent": 2.0}
SPOILT = [
    {"spent": "y"}, {"spent": float("nan")}, {"spent": True}, {"began": "now"}, {"began": float("inf")},
    {"began": 10**400}, {"steps": [[["a"], "did", 1.0]]}, {"steps": [["a", 5, 1.0]]}, {"steps": [["a", "did", None]]},
    {"before": {"a": {"open": "1", "new": 2.0}}},
]  # fmt: skip


@pytest.mark.parametrize("change", SPOILT)
def test_note_of_a_move_with_another_form_is_ignored(project, change):
    place = attempts._place("prod", "ap-northeast-1")
    notes.keep(place, MOVE)
    assert attempts.read_attempts("prod", "ap-northeast-1") == attempts.Attempts(
        1.0, {"a": Latency(1.0, 2.0)}, [("a", "did", 1.0)], 2.0
    )
    notes.keep(place, MOVE | change)
    assert attempts.read_attempts("prod", "ap-northeast-1") is None


@pytest.mark.parametrize(
    "text", ["[1]", "5", "{}", '{"username": "a", "hostname": "b", "pid": Infinity}', "[" * 100_000]
)
def test_a_lock_that_cannot_be_read_may_be_held(text):
    with pytest.raises(InfraError, match="cannot be read, and may be held"):
        unlocking._read(text)


def test_nothing_is_written_or_removed_through_a_linked_directory(tmp_path):
    root, victim = tmp_path / "project", tmp_path / "victim"
    root.mkdir(), victim.mkdir()
    (victim / "keys").write_text("theirs")
    (root / "files").symlink_to(victim)
    for attack in (
        lambda: put_below(root, "files/keys", "ours"),
        lambda: put_below(root, "files/new/keys", "ours"),
        lambda: remove_below(root, "files/keys"),
        lambda: below(root, "../victim/keys"),
    ):
        with pytest.raises(InfraError, match="a directory of the project is to be there: move it away"):
            attack()
    assert [path.name for path in victim.iterdir()] == ["keys"] and (victim / "keys").read_text() == "theirs"
    (root / "file").write_text("x")
    with pytest.raises(InfraError, match="is a file, and a directory"):
        put_below(root, "file/below", "x")


def test_directories_that_infra_did_not_make_stay(tmp_path):
    """Empty ones too: no marker says whose they are."""
    (tmp_path / "out/empty/deep").mkdir(parents=True)
    with pytest.raises(InfraError, match="has directories that `infra` did not make"):
        fill_directory(tmp_path / "out", {"a": (b"x", 0o644)})
    assert (tmp_path / "out/empty/deep").is_dir()


def test_a_file_in_a_directorys_place_is_a_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InfraError, match="file/out cannot be made: Not a directory"):
        fill_directory(tmp_path / "file/out", {"a": (b"x", 0o644)})
