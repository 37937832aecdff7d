import pytest

from derain_plugin.demo import progress as module
from derain_plugin.demo.plan import Step
from derain_plugin.demo.progress import PRIOR_SECONDS, Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


STAGES = [
    [Step("make", ("make",), 10)],
    [Step("train", ("train",), 100), Step("control", ("train",), 80)],
    [Step("test", ("test",), 50)],
]


def test_time_left_follows_the_pace_of_this_machine(clock, capsys):
    progress = Progress(STAGES)
    progress.start(0)
    assert progress.seconds_left() == 160
    clock[0] += 120  # 110 more than planned
    progress.finish()
    assert progress.seconds_left() == 150 * (120 + PRIOR_SECONDS) / (10 + PRIOR_SECONDS) == 300
    progress.start(1)
    clock[0] += 60
    assert progress.seconds_left() == 240
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "[1/3] make: 0:00, about 2:40 left in all",
        "[1/3] make: done in 2:00, about 5:00 left in all",
        "[2/3] train + control: 0:00, about 5:00 left in all",
    ]


def test_finished_steps_take_no_time(clock):
    progress = Progress([[], [], STAGES[2]])
    progress.start(2)
    assert progress.seconds_left() == 50
    clock[0] += 80
    assert progress.seconds_left() == 0


def test_a_log_file_gets_a_line_now_and_then(clock, capsys):
    progress = Progress(STAGES)
    progress.start(0)
    for _ in range(100):
        clock[0] += 0.5
        progress.tick()
    assert 2 <= len(capsys.readouterr().err.splitlines()) <= 4


def test_a_training_tells_its_epochs(clock, capsys, tmp_path):
    progress = Progress([[Step("train", (), 10, work_dir=tmp_path, epochs=4)]])
    progress.start(0)
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_2.pth"))
    progress.finish()
    first, last = capsys.readouterr().err.splitlines()
    assert "train (0 of 4 epochs)" in first
    assert "train (2 of 4 epochs)" in last
