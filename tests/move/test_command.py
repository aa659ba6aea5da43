"""`infra move` from its first question to its report, with Pulumi and AWS played."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import typer

from infra import notes
from infra.errors import InfraError
from infra.move import attempts, command, run
from infra.move.attempts import Attempts
from infra.move.phases import Phase
from infra.move.progress import Progress, Timed
from infra.move.report import Latency
from infra.move.run import Standing
from tests.move.programs import pulumi_that
from tests.support import catalogue, hear_signals

SYDNEY, TOKYO, NAME = "ap-southeast-2", "ap-northeast-1", "api.hey-watch.me"
BEFORE, AFTER = {NAME: Latency(120.0, 480.0)}, {NAME: Latency(2.0, 9.0)}
GATE, RETIRE = Phase("gate", TOKYO, {"g": "create"}), Phase("retire", SYDNEY, {"network-i": "delete"})


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """What the command finds, to be changed by a test, and what it did."""
    config = tmp_path / "Pulumi.prod.yaml"
    config.write_text("as it was")
    played = SimpleNamespace(
        standing=Standing(SYDNEY, SYDNEY, []), fine=True, planned=[GATE, RETIRE], fails="", asked=[], settled=[], answer=True, confirm=None,
        distances=[BEFORE, AFTER], config=config, folder=tmp_path,
    )  # fmt: skip

    @contextmanager
    def configured(stack, change):
        copy = tmp_path / "copy"
        copy.write_text("as it is to be")
        yield copy

    def up(stack, planned, say, ask):
        progress = Progress({(phase.step, phase.region): phase for phase in planned}, say, lambda: 0.0)
        done = planned[:1] if played.fails else planned
        progress.times = {(phase.step, phase.region): Timed(1.0, 3.0, 1) for phase in done}
        progress.reasons = [played.fails] if played.fails else []
        return progress

    def confirm(question):
        played.asked.append(question)
        return played.confirm(question) if played.confirm else played.answer

    for module in (command, run, notes):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(command, "preflight", lambda *_: played.fine)
    monkeypatch.setattr(command, "config_file", lambda name: config)
    monkeypatch.setattr(command.typer, "confirm", confirm)
    monkeypatch.setattr(run, "standing", lambda _: played.standing)
    monkeypatch.setattr(run, "settle", lambda *_: played.settled.append(True))
    monkeypatch.setattr(run, "copy_configuration", configured)
    monkeypatch.setattr(run, "preview_phases", lambda *_: played.planned)
    monkeypatch.setattr(run, "latencies", lambda _: played.distances.pop(0))
    monkeypatch.setattr(run, "pulumi", lambda *_: '{"images": {"web:latest": "sha256:1"}}')
    monkeypatch.setattr(run, "up", up)
    return played


def move(region=TOKYO, keep=False, yes=False):
    command.move(catalogue(), region, keep, yes, None)


def report_of(stage) -> str:
    (found,) = stage.folder.glob("move-prod-*.md")
    return found.read_text()


def test_question_lists_deletions_and_a_no_touches_nothing(stage):
    stage.answer = False
    with pytest.raises(InfraError, match="nothing was touched"):
        move()
    assert (
        stage.asked == [f"\nApply these steps, and delete {SYDNEY} at the end?"]
        and stage.config.read_text() == "as it was"
    )


def test_obstacle_ends_the_move_before_the_question(stage):
    stage.fine = False
    with pytest.raises(typer.Exit) as ended:
        move()
    assert ended.value.exit_code == 2 and stage.asked == [] and stage.config.read_text() == "as it was"


def test_move_to_the_current_region_does_nothing(stage):
    stage.standing, stage.planned = Standing(TOKYO, TOKYO, []), []
    with pytest.raises(InfraError, match=f"already serves from {TOKYO}"):
        move(yes=True)
    assert stage.config.read_text() == "as it was"


def test_a_stack_that_is_nowhere_has_nothing_to_move(stage):
    stage.standing = Standing("", SYDNEY, [])
    with pytest.raises(InfraError, match=f"not deployed anywhere yet: to create it in {TOKYO}"):
        move(yes=True)


def test_stopped_move_names_the_commands_to_continue_and_cancel(stage):
    stage.fails = "gate ap-northeast-1: failed: 502"
    with pytest.raises(InfraError) as stopped:
        move(yes=True)
    lines = str(stopped.value).splitlines()
    assert [line.strip() for line in lines] == [
        stage.fails,
        "Nothing that was serving was deleted.",
        f"Continue: uv run infra move {TOKYO} --retire --stack prod",
        f"Cancel: uv run infra move {SYDNEY} --retire --stack prod",
    ]


def test_report_of_a_continued_move_covers_all_attempts(stage, capsys):
    """How far the names were before the first attempt, and the steps of both."""
    stage.fails = "verify: failed: 502"
    with pytest.raises(InfraError):
        move(yes=True)
    stage.fails, stage.standing, stage.planned = "", Standing(SYDNEY, TOKYO, []), [RETIRE]
    move(yes=True)
    assert f"an unfinished move to {TOKYO}: it continues" in capsys.readouterr().out
    text = report_of(stage)
    assert f"| gate {TOKYO} | 1 created | 2.0 |" in text and f"| retire {SYDNEY} | 1 deleted | 2.0 |" in text
    assert f"| {NAME} | 120 ms | 2 ms | 480 ms | 9 ms |" in text
    assert attempts.read_attempts("prod", TOKYO) is None


def test_cancelled_move_has_no_report(stage, capsys):
    stage.standing, stage.planned = Standing(SYDNEY, TOKYO, []), [Phase("retire", TOKYO, {"network-i": "delete"})]
    attempts.keep("prod", TOKYO, Attempts(1.0, BEFORE))
    move(SYDNEY, yes=True)
    said = capsys.readouterr().out
    assert "it is cancelled" in said and f"stack prod still serves from {SYDNEY}" in said
    assert not list(stage.folder.glob("move-*.md")) and attempts.read_attempts("prod", TOKYO) is None


def test_damaged_note_of_a_move_is_ignored(stage):
    place = stage.folder / ".infra/moves/prod-x.json"
    place.parent.mkdir(parents=True)
    place.write_text("{")
    assert attempts.read_attempts("prod", "x") is None and attempts.read_attempts("prod", "y") is None


def test_repeated_step_is_reported_once():
    both = Attempts(0.0, {}, [("gate", "a", 1.0), ("images", "b", 2.0)], 5.0).and_then([("gate", "c", 3.0)], 4.0)
    assert both.steps == [("images", "b", 2.0), ("gate", "c", 3.0)] and both.spent == 9.0


UP = (
    "from infra.move import run; print('reasons:', run.up('lab', [], lambda line: print(line, flush=True), lambda _: "
    "False).reasons)"
)


ASKED = 'trap \'echo asked >> $LOG; sleep 0.3; exit 1\' INT\necho \'{"diagnosticEvent": {"severity": "info", "message": "begun"}}\'\nwhile :; do sleep 0.05; done'
INTERRUPTED = "reasons: ['interrupted; run the same command again to continue']"


@contextmanager
def running(folder, script: str, *ignored: signal.Signals):
    """`infra move` following this Pulumi, which has begun; started with these signals ignored and no others."""
    with subprocess.Popen(
        [sys.executable, "-c", UP], cwd=folder, env=pulumi_that(folder, script), text=True, stdout=subprocess.PIPE,
        preexec_fn=partial(hear_signals, *ignored),
    ) as process:  # fmt: skip
        assert process.stdout and "begun" in process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("word", "ignored"),
    [(signal.SIGINT, ()), (signal.SIGTERM, ()), (signal.SIGHUP, ()), (signal.SIGTERM, (signal.SIGINT, signal.SIGHUP))],
    ids=["SIGINT", "SIGTERM", "SIGHUP", "SIGTERM under nohup"],
)
def test_interrupted_pulumi_is_signalled_once_and_awaited(tmp_path, word, ignored):
    with running(tmp_path, ASKED, *ignored) as process:
        process.send_signal(word)
        said, _ = process.communicate(timeout=60)
    assert "interrupted: a running release is finished, every other step ends now" in said
    assert INTERRUPTED in said and (tmp_path / "log").read_text() == "asked\n"


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGHUP], ids=lambda word: word.name)
def test_signals_ignored_by_nohup_do_not_end_the_move(tmp_path, word):
    os.mkfifo(tmp_path / "log.go")
    with running(
        tmp_path, f"{ASKED.partition('while')[0]}read line < $LOG.go", signal.SIGINT, signal.SIGHUP
    ) as process:
        process.send_signal(word)
        (tmp_path / "log.go").write_text("go on\n")
        said, _ = process.communicate(timeout=60)
    assert said == "reasons: []\n" and not (tmp_path / "log").exists()


def test_second_interrupt_is_passed_on(tmp_path):
    script = ASKED.replace("sleep 0.3; exit 1", "[ $(wc -l < $LOG) = 2 ] && exit 1")
    with running(tmp_path, script) as process:
        assert process.stdout
        process.send_signal(signal.SIGINT)
        assert "Ctrl-C once more" in process.stdout.readline()
        while not (tmp_path / "log").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert said.startswith("interrupted again: Pulumi ends at once") and INTERRUPTED in said


def test_configuration_edited_during_the_question_is_not_overwritten(stage):
    def confirm(question):
        stage.config.write_text("as a second operator wants it")
        return True

    stage.confirm = confirm
    with pytest.raises(InfraError, match=r"nothing was touched: Pulumi.prod.yaml was changed meanwhile"):
        move()
    assert stage.config.read_text() == "as a second operator wants it"
