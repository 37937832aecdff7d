import json

import numpy as np
import pytest
from coco_folder import write_coco_folder
from mmdet.evaluation import CocoMetric
from mmengine.fileio import dump, load
from saved_models import save_model

from derain_plugin.evaluation.comparison import compare

ERRORS = dict(clean=1.0, severity_1=2.0, severity_2=4.0)


@pytest.fixture(scope="module")
def ann_file(coco_root):
    return coco_root / "annotations/instances_val2017.json"


@pytest.fixture(scope="module")
def models(ann_file, tmp_path_factory):
    """A model that rain harms less than the baseline; two training seeds of it."""
    folder = tmp_path_factory.mktemp("models")
    better = dict(ERRORS, severity_1=1.5, severity_2=2.0)
    return dict(
        vanilla=[save_model(folder / "a.pkl", ann_file, ERRORS)],
        derained=[save_model(folder / f"b{i}.pkl", ann_file, better, seed=i + 1) for i in (0, 1)],
    )


def compared(models, ann_file, **options):
    return compare(models, {"*": ann_file}, **dict(dict(resamples=40, workers=1), **options))


def mmdet_ap(path, ann_file, condition: str, classes) -> float:
    metric = CocoMetric(ann_file=str(ann_file))
    metric.dataset_meta = dict(classes=classes)
    samples = [s for s in load(path) if s.get("dataset") == condition]
    metric.process(None, samples)
    return metric.evaluate(size=len(samples))["coco/bbox_mAP"]


def test_values_are_those_of_mmdet(models, ann_file):
    result = compared(models, ann_file)
    for row in result.rows[:3]:
        (path,), seeds = models["vanilla"], models["derained"]
        classes = ("square", "disc")
        assert row.baseline == pytest.approx(
            mmdet_ap(path, ann_file, row.condition, classes), abs=6e-4
        )
        expected = np.mean([mmdet_ap(p, ann_file, row.condition, classes) for p in seeds])
        assert row.value == pytest.approx(expected, abs=6e-4)
        assert row.difference == row.value - row.baseline
    assert result.images == result.listed == dict.fromkeys(ERRORS, 10)


def test_rows_and_intervals(models, ann_file):
    rows = {row.condition: row for row in compared(models, ann_file, resamples=200).rows}
    assert list(rows) == [*ERRORS, "P", "mPC", "rPC"]
    assert {row.model for row in rows.values()} == {"derained"}
    assert all(row.low <= row.difference <= row.high for row in rows.values())
    assert rows["severity_2"].excludes_zero
    assert rows["severity_2"].low > 0.05
    assert not rows["clean"].excludes_zero
    for side in ("baseline", "value"):
        clean, one, two, p, mpc, rpc = (getattr(row, side) for row in rows.values())
        assert p == clean
        assert mpc == pytest.approx((one + two) / 2)
        assert rpc == pytest.approx(mpc / p)
    # The ratio is taken in each resample: its interval is not that of mPC, rescaled.
    assert rows["rPC"].low != pytest.approx(rows["mPC"].low / rows["P"].baseline, rel=1e-3)


@pytest.mark.parametrize(
    ("errors", "rainy", "expected"),
    [
        (dict(clean=1, severity_2=4, held_out=2), None, ["severity_2"]),
        (dict(clean=1, light=2, heavy=4), None, ["light", "heavy"]),
        (dict(clean=1, severity_2=4, held_out=2), ["held_out"], ["held_out"]),
    ],
)
def test_conditions_that_make_up_mpc(tmp_path, ann_file, errors, rainy, expected):
    models = {name: [save_model(tmp_path / f"{name}.pkl", ann_file, errors)] for name in "ab"}
    rows = {r.condition: r.value for r in compared(models, ann_file, rainy=rainy).rows}
    assert rows["mPC"] == pytest.approx(np.mean([rows[name] for name in expected]))


def test_mpc_of_a_condition_that_is_not_there(models, ann_file):
    message = "images of clean, which held_out is not; there are severity_1, severity_2"
    with pytest.raises(ValueError, match=message):
        compared(models, ann_file, rainy=["severity_1", "held_out"])


def test_a_model_against_itself(models, ann_file):
    rows = compared(dict(a=models["vanilla"], b=models["vanilla"]), ann_file).rows
    assert {(row.difference, row.low, row.high) for row in rows} == {(0, 0, 0)}
    assert not any(row.excludes_zero for row in rows)


def test_same_result_with_more_workers_and_another_with_another_seed(models, ann_file):
    one, three = (compared(models, ann_file, workers=n) for n in (1, 3))
    assert one.rows == three.rows
    assert np.array_equal(one.draws, three.draws)
    other = compared(models, ann_file, seed=1)
    assert [row.value for row in other.rows] == [row.value for row in one.rows]
    assert [row.low for row in other.rows] != [row.low for row in one.rows]


def test_metrics(models, ann_file):
    ap, ap50, ap75 = (
        compared(models, ann_file, metric=metric).rows[2].baseline
        for metric in ("AP", "AP50", "AP75")
    )
    assert 0 < ap75 < ap < ap50 <= 1


def test_one_condition_without_a_name(ann_file, tmp_path):
    models = {
        n: [save_model(tmp_path / f"{n}.pkl", ann_file, {None: e})]
        for n, e in dict(a=3, b=1).items()
    }
    (row,) = compared(models, ann_file).rows
    assert (row.model, row.condition) == ("b", "test")
    assert row.difference > 0


@pytest.fixture
def other_set(tmp_path):
    root = write_coco_folder(tmp_path / "other", num_images=12, classes=("disc", "square"))
    return root / "annotations/instances_val2017.json"


def test_conditions_with_their_own_annotations(ann_file, other_set, tmp_path):
    models = {}
    for seed, name in enumerate(("a", "b")):
        parts = [
            load(save_model(tmp_path / "part.pkl", file, {condition: 1.0}, seed=seed))
            for file, condition in ((ann_file, "clean"), (other_set, "real_rain"))
        ]
        dump([sample for part in parts for sample in part], tmp_path / f"{name}.pkl")
        models[name] = [tmp_path / f"{name}.pkl"]
    result = compare(models, {"*": ann_file, "real_rain": other_set}, resamples=5, workers=1)
    assert [row.condition for row in result.rows] == ["clean", "real_rain"]
    assert result.images == dict(clean=10, real_rain=12)
    assert all(row.baseline > 0.3 for row in result.rows)
    with pytest.raises(
        ValueError, match=r"2 images \(such as 11, 12\) of the test condition real_rain"
    ):
        compared(models, ann_file)
    with pytest.raises(ValueError, match=r"clean, real_rain, .* for real_rain$"):
        compare(models, {"real_rain": other_set})
    with pytest.raises(ValueError, match=r"for \*, fog$"):
        compare(models, {"*": ann_file, "fog": other_set})


def test_a_part_of_the_images(models, ann_file, tmp_path):
    few = {}
    for name, paths in models.items():
        dump([s for s in load(paths[0]) if s["img_id"] <= 6], tmp_path / f"{name}.pkl")
        few[name] = [tmp_path / f"{name}.pkl"]
    result = compared(few, ann_file)
    assert result.images == dict.fromkeys(ERRORS, 6)
    assert result.listed == dict.fromkeys(ERRORS, 10)
    content = json.loads(ann_file.read_text())
    content["images"] = content["images"][:6]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] <= 6]
    shorter = tmp_path / "shorter.json"
    shorter.write_text(json.dumps(content))
    assert compared(few, shorter).rows == result.rows
    expected = r"under clean: 0 images only in .*vanilla.pkl, 4 images \(such as 7, 8, 9\) only in"
    with pytest.raises(ValueError, match=expected):
        compared(dict(a=models["vanilla"], b=few["vanilla"]), ann_file)


def test_no_ground_truth(models, ann_file, tmp_path):
    content = json.loads(ann_file.read_text())
    content["annotations"] = []
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps(content))
    row = compared(models, empty).rows[0]
    assert np.isnan([row.baseline, row.value, row.difference, row.low, row.high]).all()
    assert not row.excludes_zero


def test_ground_truth_in_one_image_only(models, ann_file, tmp_path):
    """Many resamples lack it; they do not make the interval undefined."""
    content = json.loads(ann_file.read_text())
    content["annotations"] = content["annotations"][:1]
    single = tmp_path / "single.json"
    single.write_text(json.dumps(content))
    row = compared(models, single).rows[0]
    assert row.low <= row.difference <= row.high


def test_classes(models, ann_file):
    with pytest.raises(ValueError, match=r"a.pkl \(clean\): labels go from 0 to 1, .* 1 classes"):
        compared(models, ann_file, classes=["disc"])
    swapped = compared(models, ann_file, classes=["disc", "square"])
    assert swapped.rows == compared(models, ann_file).rows


def test_other_conditions(models, ann_file, tmp_path):
    other = save_model(tmp_path / "other.pkl", ann_file, dict(clean=1.0))
    with pytest.raises(ValueError, match=r"other.pkl has the test conditions clean, but .*a.pkl"):
        compared(dict(models, other=[other]), ann_file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(resamples=0), "resamples must be at least 1, got 0"),
        (dict(seed=-1), "seed must not be negative, got -1"),
        (dict(metric="AR"), "metric must be one of AP, AP50, AP75, got AR"),
    ],
)
def test_bad_settings(models, ann_file, options, message):
    with pytest.raises(ValueError, match=message):
        compared(models, ann_file, **options)


@pytest.mark.parametrize("count", [0, 1, None])
def test_too_few_models(models, ann_file, count):
    few = dict(models, derained=[]) if count is None else dict(list(models.items())[:count])
    with pytest.raises(ValueError, match="needs a baseline and another model"):
        compared(few, ann_file)


def test_another_model_can_be_the_baseline(models, ann_file):
    found = compared(models, ann_file)
    swapped = compared({name: models[name] for name in reversed(models)}, ann_file)
    rows = found.against("derained")
    assert {row.model for row in rows} == {"vanilla"}
    assert [(row.condition, row.difference) for row in rows] == [
        (row.condition, pytest.approx(row.difference)) for row in swapped.rows
    ]
    assert [(-row.high, -row.low) for row in rows] == [
        (pytest.approx(row.low), pytest.approx(row.high)) for row in found.rows
    ]
