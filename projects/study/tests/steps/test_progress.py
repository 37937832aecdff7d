import pytest

from projects.study.steps import Step
from projects.study.steps import progress as module
from projects.study.steps.progress import PRIOR_SECONDS, Progress, clock


@pytest.fixture
def now(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


MAKE = Step("make", ("make",), 10)
TRAIN = Step("train", ("train",), 100, needs=("make",))
CONTROL = Step("control", ("train",), 80, needs=("make",))
TEST = Step("test", ("test",), 50, needs=("train",))
STEPS = [MAKE, TRAIN, CONTROL, TEST]


def test_time_left_follows_the_pace_of_this_machine(now, capsys):
    progress = Progress(STEPS, jobs=2)
    progress.start(MAKE)
    assert progress.seconds_left() == 160
    now[0] += 120  # 110 more than planned
    progress.finish(MAKE)
    assert progress.seconds_left() == 150 * (120 + PRIOR_SECONDS) / (10 + PRIOR_SECONDS) == 300
    progress.start(TRAIN)
    progress.start(CONTROL)
    now[0] += 60
    assert progress.seconds_left() == 240
    progress.tick()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "[0 of 4 done] make: 0:00, about 2:40 left in all",
        "[1 of 4 done] make: done in 2:00, about 5:00 left in all",
        "[1 of 4 done] train: 0:00, about 5:00 left in all",
        "[1 of 4 done] train: 0:00 + control: 0:00, about 5:00 left in all",
        "[1 of 4 done] train: 1:00 + control: 1:00, about 4:00 left in all",
    ]


def test_steps_that_are_late_take_no_more_time(now):
    progress = Progress([TEST], jobs=2)
    progress.start(TEST)
    assert progress.seconds_left() == 50
    now[0] += 80
    assert progress.seconds_left() == 0


def test_a_log_file_gets_a_line_now_and_then(now, capsys):
    progress = Progress(STEPS, jobs=1)
    progress.start(MAKE)
    for _ in range(100):
        now[0] += 0.5
        progress.tick()
    assert 2 <= len(capsys.readouterr().err.splitlines()) <= 4


def test_a_training_tells_its_epochs(now, capsys, tmp_path):
    training = Step("train", (), 10, work_dir=tmp_path, epochs=4)
    progress = Progress([training], jobs=1)
    progress.start(training)
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_2.pth"))
    progress.finish(training)
    first, last = capsys.readouterr().err.splitlines()
    assert "train (0 of 4 epochs)" in first
    assert "train (2 of 4 epochs)" in last


def test_clock():
    assert [clock(59), clock(3599), clock(3 * 3600 + 61)] == ["0:59", "59:59", "3:01:01"]
