import pytest

from projects.study.steps import Step, steps_left, time_needed
from projects.study.steps.schedule import most_at_once, next_steps


def step(name, *needs, seconds=1):
    return Step(name, (), seconds, needs=needs)


#  data - vanilla - neck    - test neck
#                 - control - test control
DATA, VANILLA = step("data"), step("vanilla", "data")
NECK, CONTROL = step("neck", "vanilla"), step("control", "vanilla")
TESTS = [step("test neck", "neck"), step("test control", "control")]
STEPS = [DATA, VANILLA, NECK, CONTROL, *TESTS]


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ("", "data vanilla neck control test_neck test_control"),
        ("data vanilla", "neck control test_neck test_control"),
        ("test_control", "data vanilla neck test_neck"),
        ("neck test_control", "test_neck"),  # nothing that only finished steps need
        ("test_neck test_control", ""),
    ],
)
def test_only_what_is_missing_and_needed_is_left(done, left):
    done, left = ([name.replace("_", " ") for name in names.split()] for names in (done, left))
    found = steps_left(STEPS, lambda step: step.name in done)
    assert [step.name for step in found] == left


def test_a_step_starts_when_what_it_needs_has_ended():
    assert next_steps(STEPS, [], jobs=9) == [DATA]
    assert next_steps(STEPS[1:], [DATA], jobs=9) == []
    assert next_steps(STEPS[2:], [], jobs=9) == [NECK, CONTROL]
    assert next_steps(STEPS[2:], [], jobs=1) == [NECK]
    assert next_steps(STEPS[3:], [NECK], jobs=2) == [CONTROL]
    assert next_steps(STEPS[3:], [NECK], jobs=1) == []


@pytest.mark.parametrize(("jobs", "seconds"), [(1, 10 + 20 + 60 + 30 + 5 + 5), (2, 95), (3, 95)])
def test_time_that_steps_take_together(jobs, seconds):
    each = dict(zip([step.name for step in STEPS], [10, 20, 60, 30, 5, 5], strict=True))
    assert time_needed(STEPS, each, jobs=jobs) == seconds


def test_no_steps_take_no_time():
    assert time_needed([], {}, jobs=2) == 0


def test_how_many_run_at_once_follows_from_what_they_need():
    assert most_at_once(STEPS, jobs=9) == dict(
        data=1, vanilla=1, neck=3, control=3, **{"test neck": 3, "test control": 3}
    )
    assert set(most_at_once(STEPS[:4], jobs=9).values()) == {1, 2}
    assert set(most_at_once(STEPS, jobs=1).values()) == {1}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([DATA, DATA], "two steps are named 'data'"),
        ([VANILLA, DATA], r"'vanilla' needs \['data'\], which no earlier step makes"),
    ],
)
def test_steps_out_of_order_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        steps_left(steps, lambda step: False)
