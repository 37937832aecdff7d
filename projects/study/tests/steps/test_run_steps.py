import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from forked import start_forked

from projects.study.steps import Step, StepError, run_steps


def step(name, code, **kwargs):
    return Step(name, (sys.executable, "-c", code), seconds=1, **kwargs)


def appends(path, text, **kwargs):
    return step(text, f"open({str(path)!r}, 'a').write({text!r})", **kwargs)


def chain(path, texts):
    """Steps that need the one before them."""
    pairs = zip(["", *texts], texts, strict=False)
    return [appends(path, text, needs=tuple(before)) for before, text in pairs]


def test_steps_run_once_and_in_order(tmp_path):
    seen = tmp_path / "seen"
    steps = chain(seen, "abc")
    first = run_steps(steps, tmp_path / "work", jobs=3)
    assert list(first) == ["a", "b", "c"]
    assert run_steps(steps, tmp_path / "work", jobs=3) == first
    assert seen.read_text() == "abc"


def test_a_step_is_done_while_what_it_left_is_there(tmp_path):
    seen = tmp_path / "seen"
    steps = [appends(seen, "a", is_there=seen.is_file)]
    for _ in range(2):
        run_steps(steps, tmp_path / "work", jobs=1)
        assert seen.read_text() == "a"
    seen.unlink()
    run_steps(steps, tmp_path / "work", jobs=1)
    assert seen.read_text() == "a"


def test_a_step_is_prepared_right_before_it_starts(tmp_path):
    seen = tmp_path / "seen"
    copy = f"open({str(seen)!r}, 'a').write(open({str(tmp_path / 'text')!r}).read())"
    steps = [
        step(name, copy, prepare=lambda name=name: (tmp_path / "text").write_text(name), needs=need)
        for name, need in (("a", ()), ("b", ("a",)))
    ]
    run_steps(steps, tmp_path / "work", jobs=2)
    run_steps(steps, tmp_path / "work", jobs=2)
    assert seen.read_text() == "ab"
    assert (tmp_path / "text").read_text() == "b"


def test_a_failed_step_is_told_and_tried_again(tmp_path):
    seen = tmp_path / "seen"
    code = f"import os; print('why'); assert os.path.exists({str(tmp_path / 'ok')!r})"
    fragile = step("fragile", code, needs=("a",))
    steps = [appends(seen, "a"), fragile, appends(seen, "b", needs=("fragile",))]
    message = r"'fragile' failed with exit code 1:\nwhy\n[^$]*fragile.log. Run the same command"
    with pytest.raises(StepError, match=message):
        run_steps(steps, tmp_path / "work", jobs=2)
    assert seen.read_text() == "a"
    (tmp_path / "ok").touch()
    run_steps(steps, tmp_path / "work", jobs=2)
    assert seen.read_text() == "ab"


def test_jobs_run_at_once_and_share_the_threads(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    code = (
        "import os, pathlib, time\n"
        "mine, other = (pathlib.Path({folder!r}, name) for name in {names!r})\n"
        "mine.write_text(os.environ['OMP_NUM_THREADS'])\n"
        "while not other.exists(): time.sleep(0.02)"
    )
    pairs = ("a", "b"), ("b", "a"), ("c", "c")
    a, b, c = (step(names[0], code.format(folder=str(tmp_path), names=names)) for names in pairs)
    steps = [a, b, replace(c, needs=("a", "b"))]
    run_steps(steps, tmp_path / "work", jobs=4)
    assert [(tmp_path / name).read_text() for name in "abc"] == ["3", "3", "6"]


def test_no_more_than_jobs_run_at_once(tmp_path):
    code = (
        "import os, pathlib, time\n"
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        "mark.touch(exist_ok=False)\n"
        "time.sleep(0.05)\n"
        "mark.unlink()"
    )
    run_steps([step(name, code) for name in "abc"], tmp_path / "work", jobs=1)


def test_when_one_step_fails_the_other_is_ended_and_done_again(tmp_path):
    mark = tmp_path / "mark"
    fail = step("fail", f"import os; assert os.path.exists({str(mark)!r})")
    slow = step("slow", f"import os, time; time.sleep(0 if os.path.exists({str(mark)!r}) else 60)")
    with pytest.raises(StepError, match="'fail' failed"):
        run_steps([slow, fail], tmp_path / "work", jobs=2)
    mark.touch()
    assert run_steps([slow, fail], tmp_path / "work", jobs=2)["slow"] < 60


@pytest.mark.parametrize("begun", ["last_checkpoint", "adapt_run.json"])
def test_a_training_that_has_begun_is_resumed(begun, tmp_path):
    work_dir, seen = tmp_path / "train", tmp_path / "seen"
    code = (
        "import sys, pathlib\n"
        f"pathlib.Path({str(seen)!r}).write_text(' '.join(sys.argv[1:]))\n"
        f"work = pathlib.Path({str(work_dir)!r})\n"
        "begun = work.exists()\n"
        "work.mkdir(exist_ok=True)\n"
        f"(work / {begun!r}).touch()\n"
        "sys.exit(not begun)"
    )
    training = step("train", code, work_dir=work_dir, epochs=1)
    if begun != "last_checkpoint":
        training = replace(training, work_dir=None, begun=work_dir / begun)
    with pytest.raises(StepError):
        run_steps([training], tmp_path / "work", jobs=1)
    assert seen.read_text() == ""
    run_steps([training], tmp_path / "work", jobs=1)
    assert seen.read_text() == "--resume"


def test_other_settings_of_a_step_are_refused(tmp_path):
    steps = chain(tmp_path / "seen", "ab")
    run_steps(steps, tmp_path / "work", jobs=1)
    with pytest.raises(ValueError, match="other settings: delete it"):
        run_steps([steps[0], replace(steps[1], settings="new")], tmp_path / "work", jobs=1)
    assert (tmp_path / "seen").read_text() == "ab"


def run_long_step(child, folder):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    code = f"import os, time; open({str(child)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    run_steps([step("long", code)], folder, jobs=1)


@pytest.fixture
def running(tmp_path):
    """Steps in the middle of a long step, and the process id of the step."""
    child = tmp_path / "child"
    process = start_forked(run_long_step, child, tmp_path / "work")
    while not (child.exists() and child.read_text()):
        assert process.is_alive()
        time.sleep(0.05)
    yield process, int(child.read_text())
    process.kill()
    process.join()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


@pytest.mark.slow
def test_a_stopped_run_ends_its_step_and_remembers_the_time(running, tmp_path):
    process, child = running
    time.sleep(0.3)
    process.terminate()
    process.join()
    assert process.exitcode == 143
    assert not is_alive(child)
    record = json.loads((tmp_path / "work/steps/long.json").read_text())
    assert not record["done"]
    assert record["seconds"] > 0


@pytest.mark.slow
def test_an_orphaned_step_keeps_the_folder(running, tmp_path):
    process, child = running
    process.kill()
    process.join()
    steps = [appends(tmp_path / "seen", "a")]
    with pytest.raises(ValueError, match="the same command, or one that it left behind"):
        run_steps(steps, tmp_path / "work", jobs=1)
    os.kill(child, signal.SIGKILL)
    while is_alive(child):
        time.sleep(0.05)
    run_steps(steps, tmp_path / "work", jobs=1)
