import json
import random

import numpy as np
import pytest
from mmengine.dataset import Compose

from derain_plugin.config import load_config
from projects.benchmark import CONFIGS, loader_cost
from projects.benchmark.cli.benchmark_loader import main
from projects.benchmark.loader_cost import EARLIER, OURS, PEER


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return loader_cost.write_samples(tmp_path_factory.mktemp("photos"), photos=("coffee",))


def test_writes_times_and_memory_of_every_recipe(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(loader_cost, "PHOTOS", ("coffee", "rocket"))
    monkeypatch.setattr(loader_cost, "BATCH_SIZE", 2)
    out = tmp_path / "results"
    main(["--out", str(out), "--rounds", "2", "--batches", "3"])
    report = json.loads((out / "loader.json").read_text())
    rows = {row["recipe"]: row for row in report["recipes"]}
    assert list(rows) == list(report["times"]) == [EARLIER, OURS, PEER]
    assert rows[OURS]["relative"] == 1
    assert rows[EARLIER]["relative"] > 1
    assert all(len(times) == 2 and min(times) > 0 for times in report["times"].values())
    assert rows[EARLIER]["sample_mb"] == rows[PEER]["sample_mb"] == 4 * rows[OURS]["sample_mb"]
    assert rows[OURS]["worker_mb"] <= rows[EARLIER]["worker_mb"] / 2
    text = (out / "loader.md").read_text()
    assert text in capsys.readouterr().out
    assert f"| {PEER} |" in text
    assert report["commit"] in text
    with pytest.raises(SystemExit):
        main(["--out", str(out)])
    assert "--overwrite replaces it" in capsys.readouterr().err


def test_all_make_a_sample_of_640_pixels(samples):
    arms = loader_cost.recipes()
    shapes = {tuple(arms[name](samples[0])["inputs"].shape) for name in (EARLIER, OURS)}
    shapes.add(tuple(arms[PEER](samples[0])["pixel_values"][0].shape))
    assert shapes == {(3, 640, 640)}


def test_both_of_ours_make_the_same_sample(samples):
    """With equal seeds, rain included: only the rounding to uint8 and by the warp differs.

    With the colours first, as mmdet has them; the shipped steps draw the same in another order.
    """
    earlier = loader_cost.recipes()[EARLIER]
    load, labels, *rest = load_config(CONFIGS / "_base_/datasets/coco_rain_mix.py").train_pipeline
    rest.sort(key=lambda step: step["type"] != "Uint8PhotoMetricDistortion")
    ours = Compose([load, loader_cost.RAIN, labels, *rest])
    for seed in range(6):
        made = []
        for recipe in (earlier, ours):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            made.append(recipe(dict(samples[0])))
        boxes = [sample["data_samples"].gt_instances.bboxes.tensor for sample in made]
        assert boxes[0].equal(boxes[1])
        pixels = [sample["inputs"].float().clamp(0, 255) for sample in made]
        assert (pixels[0] - pixels[1]).abs().mean() < 1


def test_an_interval_holds_the_median_of_paired_ratios():
    ratio, low, high = loader_cost.paired_ratio([4.0, 6.0, 10.0], [2.0, 2.0, 2.0])
    assert (ratio, low, high) == (3, 2, 5)
