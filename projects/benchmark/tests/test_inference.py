import numpy as np
import pytest

from projects.benchmark.exported_arm import ExportedArm
from projects.benchmark.inference import (
    _add_exported_shares,
    measure_inference,
    median_interval,
    summarise,
)
from projects.benchmark.setting import Setting

FIRST = [9e9] * 5  # does not count


def test_summary_is_paired_and_per_image():
    drift = np.array([0, 100, 300, 20, 500.0])  # hits with and without alike
    before = 40 + drift
    extra = np.array([4, 4, 5, 6, 4.0])
    alone = [2, 2, 2, 2, 9]
    row = summarise([FIRST, before, before + 10 + extra, before + 20, alone], batch_size=2)
    assert row["derain_ms"] == 2
    assert row["derain_ms_interval"][0] == 2
    assert row["derain_alone_ms"] == 1
    detector = np.median([before, before + 20]) / 2
    assert row["overhead"] == pytest.approx(2 / detector)
    assert row["overhead_alone"] == pytest.approx(1 / detector)
    total = (before + 10 + extra) / 2
    assert row["total_ms"] == pytest.approx(np.median(total))
    assert row["fps"] == pytest.approx(1000 / np.median(total))
    assert row["p95_ms"] == pytest.approx(np.percentile(total, 95))


def test_summary_without_a_part():
    row = summarise([FIRST[:3], [10, 30, 20]], batch_size=1)
    assert row == dict(rounds=3, total_ms=20, p95_ms=29, fps=50)


def test_interval_holds_the_median_and_is_repeatable():
    values = np.random.default_rng(0).normal(5, 1, 40)
    low, high = median_interval(values)
    assert low < np.median(values) < high < low + 2
    assert median_interval(values) == [low, high]
    assert median_interval(np.ones(4)) == [1.0, 1.0]


def test_rows_of_several_configs(configs):
    told = []
    names = ("vanilla", "spdnet", "ms", "lite")
    rows = measure_inference(
        [configs[name] for name in names],
        Setting(size=64),
        rounds=3,
        seconds=60,
        tell=told.append,
    )
    assert [row["config"] for row in rows] == list(names)
    assert [row["derain"] for row in rows] == [
        None,
        "SPDNet",
        "MultiScaleFeatureDerain",
        "LightweightFeatureDerain",
    ]
    vanilla, rival, *necks = rows
    assert "speed_up" not in vanilla
    assert rival["speed_up"] == rival["memory_share"] == 1
    for neck in necks:
        expected = rival["derain_alone_ms"] / neck["derain_alone_ms"]
        assert neck["speed_up"] == pytest.approx(expected)
        assert neck["memory_share"] < 1
    assert told


def test_without_the_rival_nothing_is_compared_with_it(configs):
    (row,) = measure_inference([configs["ms"]], Setting(size=64), rounds=3, seconds=60)
    assert "speed_up" not in row


def exported(kind):
    arm = object.__new__(ExportedArm)
    arm.kind = kind
    return arm


def test_a_file_is_compared_with_the_one_of_its_kind_without_a_part():
    drift = np.array([0, 100, 300, 20, 500.0])
    arms = [object(), *map(exported, ("ov, bf16", "ov, int8", "ov, bf16", "ov, fp16"))]
    times = [drift, 40 + drift, 30 + drift, 42 + drift, 50 + drift]
    rows = [dict(derain=name) for name in (None, None, None, "Neck", "Neck")]
    _add_exported_shares(rows, arms, times)
    assert rows[3] == dict(
        derain="Neck",
        derain_ms=2,
        derain_ms_interval=[2, 2],
        overhead=pytest.approx(2 / np.median(40 + drift)),
    )
    assert all(len(row) == 1 for row in (*rows[:3], rows[4]))


def test_a_file_that_sat_rounds_out_is_not_paired():
    rows = [dict(derain=None), dict(derain="Neck")]
    _add_exported_shares(rows, [exported("ov")] * 2, [np.ones(5), np.ones(4)])
    assert "overhead" not in rows[1]
