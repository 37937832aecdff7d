import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from forked import start_forked

from derain_plugin.demo.plan import Step
from derain_plugin.demo.run_steps import StepError, run_steps


def step(name, code, **kwargs):
    return Step(name, (sys.executable, "-c", code), seconds=1, **kwargs)


def appends(path, text):
    return step(text, f"open({str(path)!r}, 'a').write({text!r})")


def test_steps_run_once_and_in_order(tmp_path):
    seen = tmp_path / "seen"
    steps = [[appends(seen, text)] for text in "abc"]
    first = run_steps(steps, tmp_path / "demo", settings="s")
    assert list(first) == ["a", "b", "c"]
    assert run_steps(steps, tmp_path / "demo", settings="s") == first
    assert seen.read_text() == "abc"


def test_a_failed_step_is_told_and_tried_again(tmp_path):
    seen = tmp_path / "seen"
    fail = step(
        "fragile", f"import os; print('why'); assert os.path.exists({str(tmp_path / 'ok')!r})"
    )
    steps = [[appends(seen, "a")], [fail], [appends(seen, "b")]]
    with pytest.raises(
        StepError, match=r"'fragile' failed with exit code 1:\nwhy\n[^$]*fragile.log"
    ):
        run_steps(steps, tmp_path / "demo", settings="s")
    assert seen.read_text() == "a"
    (tmp_path / "ok").touch()
    run_steps(steps, tmp_path / "demo", settings="s")
    assert seen.read_text() == "ab"


def test_steps_of_a_stage_run_at_once_and_share_the_threads(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    code = (
        "import os, pathlib, time\n"
        "mine, other = (pathlib.Path({folder!r}, name) for name in {names!r})\n"
        "mine.write_text(os.environ['OMP_NUM_THREADS'])\n"
        "while not other.exists(): time.sleep(0.02)"
    )
    pairs = ("a", "b"), ("b", "a")
    stage = [step(names[0], code.format(folder=str(tmp_path), names=names)) for names in pairs]
    run_steps([stage], tmp_path / "demo", settings="s")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["3", "3"]


def test_when_one_step_fails_the_other_is_ended_and_done_again(tmp_path):
    mark = tmp_path / "mark"
    fail = step("fail", f"import os; assert os.path.exists({str(mark)!r})")
    slow = step("slow", f"import os, time; time.sleep(0 if os.path.exists({str(mark)!r}) else 60)")
    with pytest.raises(StepError, match="'fail' failed"):
        run_steps([[slow, fail]], tmp_path / "demo", settings="s")
    mark.touch()
    assert run_steps([[slow, fail]], tmp_path / "demo", settings="s")["slow"] < 60


def test_a_training_that_has_begun_is_resumed(tmp_path):
    work_dir, seen = tmp_path / "work", tmp_path / "seen"
    code = (
        "import sys, pathlib\n"
        f"pathlib.Path({str(seen)!r}).write_text(' '.join(sys.argv[1:]))\n"
        f"work = pathlib.Path({str(work_dir)!r})\n"
        "begun = work.exists()\n"
        "work.mkdir(exist_ok=True)\n"
        "(work / 'last_checkpoint').touch()\n"
        "sys.exit(not begun)"
    )
    training = step("train", code, work_dir=work_dir, epochs=1)
    with pytest.raises(StepError):
        run_steps([[training]], tmp_path / "demo", settings="s")
    assert seen.read_text() == ""
    run_steps([[training]], tmp_path / "demo", settings="s")
    assert seen.read_text() == "--resume"


def test_other_settings_are_refused(tmp_path):
    steps = [[appends(tmp_path / "seen", "a")]]
    run_steps(steps, tmp_path / "demo", settings="s")
    with pytest.raises(ValueError, match="other settings: delete it"):
        run_steps(steps, tmp_path / "demo", settings="t")
    assert (tmp_path / "seen").read_text() == "a"


def run_long_step(child, folder):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    code = f"import os, time; open({str(child)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    run_steps([[step("long", code)]], folder, settings="s")


@pytest.fixture
def running(tmp_path):
    """A demo in the middle of a long step, and the process id of the step."""
    child = tmp_path / "child"
    process = start_forked(run_long_step, child, tmp_path / "demo")
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
def test_a_stopped_demo_ends_its_step_and_remembers_the_time(running, tmp_path):
    process, child = running
    time.sleep(0.3)
    process.terminate()
    process.join()
    assert process.exitcode == 143
    assert not is_alive(child)
    record = json.loads((tmp_path / "demo/steps/long.json").read_text())
    assert not record["done"]
    assert record["seconds"] > 0


@pytest.mark.slow
def test_an_orphaned_step_keeps_the_folder(running, tmp_path):
    process, child = running
    process.kill()
    process.join()
    steps = [[appends(tmp_path / "seen", "a")]]
    with pytest.raises(ValueError, match="the same command, or one that it left behind"):
        run_steps(steps, tmp_path / "demo", settings="s")
    os.kill(child, signal.SIGKILL)
    while is_alive(child):
        time.sleep(0.05)
    run_steps(steps, tmp_path / "demo", settings="s")
