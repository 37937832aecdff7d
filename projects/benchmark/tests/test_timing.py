import time

import pytest

from projects.benchmark.timing import median_times, times_in_turns


def test_medians_ignore_outliers():
    calls = []

    def run(name, milliseconds):
        calls.append(name)
        outlier = calls.count(name) == 4
        time.sleep(milliseconds / 1000 + 0.2 * outlier)

    fast, slow = median_times([lambda: run("fast", 2), lambda: run("slow", 20)], rounds=5)
    assert fast < slow < 200


def test_arms_take_turns():
    calls = []
    arms = [[lambda name=name: calls.append(name) for name in arm] for arm in ("ab", "c")]
    times = times_in_turns(arms, rounds=3, warm_up=1)
    assert "".join(calls) == "abc" * 4
    assert [[len(found) for found in arm] for arm in times] == [[3, 3], [3]]


def test_times_stay_with_their_function():
    slow, fast = times_in_turns([[lambda: time.sleep(0.02), lambda: None]], rounds=4)[0]
    assert min(slow) > max(fast)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1e9, 12), (0.12, 6), (1e-9, 3)], ids=["all", "some", "least"]
)
def test_a_slow_arm_sits_rounds_out(monkeypatch, seconds, expected):
    clock = iter(range(10**6))  # each call takes 10 ms
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) * 0.01)
    calls = []
    arms = [[lambda: calls.append("slow"), lambda: None], [lambda: calls.append("other")]]
    (times, _), _ = times_in_turns(arms, rounds=12, seconds=seconds, warm_up=1)
    assert len(times) == calls.count("slow") - 1 == expected
    timed = [name for name in calls if name == "slow"] and calls[2:]
    if expected == 6:  # every second round
        assert "".join(name[0] for name in timed).count("ss") == 0


def test_waits_for_the_device():
    pending = []
    times_in_turns([[lambda: pending.append(1)]], rounds=3, synchronize=lambda: pending.clear())
    assert not pending
