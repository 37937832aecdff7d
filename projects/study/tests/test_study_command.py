import re
import sys

import pytest

from projects.study import plan as planning
from projects.study import report
from projects.study.cli import study as cli
from projects.study.steps import Step

ADD = "open({!r}, 'a').write({!r})"


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """What two commands write that stand for the study's."""
    seen = tmp_path / "seen"

    def plan_steps(layout, arms, seeds):
        first = (sys.executable, "-c", ADD.format(str(seen), f"{layout.split}{list(seeds)}"))
        second = (sys.executable, "-c", ADD.format(str(seen), arms[0].name))
        return [Step("first", first, 90), Step("second", second, 60, needs=("first",))]

    monkeypatch.setattr(planning, "plan_steps", plan_steps)
    monkeypatch.setattr(
        report, "write_report", lambda results, docs, *, split, data: f"{docs} of {split}, {data}"
    )
    monkeypatch.chdir(tmp_path)
    return seen


def test_what_is_planned_runs_and_is_reported_once(seen, capsys):
    arguments = ["--arms", "control", "--seeds", "4", "5", "--split", "val"]
    cli.main(arguments)
    assert seen.read_text() == "val[4, 5]control"
    printed = capsys.readouterr().out
    assert "    1:30  first\n" in printed
    assert "2 commands left, about 2:30 with 2 at once" in printed
    assert printed.endswith("projects/study/results/study of val, this self-made data\n")
    cli.main(arguments)
    assert seen.read_text() == "val[4, 5]control"
    assert "0 commands left" in capsys.readouterr().out


def test_a_plan_runs_nothing(seen, tmp_path, capsys):
    cli.main(["--plan"])
    assert "2 commands left" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_other_families_have_folders_of_their_own(seen, tmp_path, capsys):
    cli.main(["--family", "coco"])
    assert (tmp_path / "work_dirs/coco/steps/first.json").is_file()
    assert capsys.readouterr().out.endswith(
        f"{tmp_path / 'projects/study/results/coco'} of test, the data in coco\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--arms best", "unknown arms best; there are vanilla, control"),
        ("--seeds 1 2 1", r"--seeds must differ and not be negative, got \[1, 2, 1\]"),
        ("--seeds -1", "must differ and not be negative"),
        ("--jobs 0", "--jobs must be at least 1, got 0"),
        ("--split train", "invalid choice: 'train'"),
        ("--family nothing", "invalid choice: 'nothing' .*study.*coco"),
    ],
)
def test_bad_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        cli.parse_args(arguments.split())
    assert re.search(message, capsys.readouterr().err)


def test_a_problem_ends_the_command_with_its_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: there is no .*/instances_train2017.json.*--data"):
        cli.main(["--family", "coco", "--data", "nowhere", "--arms", "control"])


def test_no_results_to_report(seen, monkeypatch):
    def refuse(*args, **kwargs):
        raise ValueError("no records")

    monkeypatch.setattr(report, "write_report", refuse)
    with pytest.raises(SystemExit, match="error: no records"):
        cli.main([])
