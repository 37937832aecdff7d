import json
import shutil

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from mmengine.fileio import dump, load
from saved_models import save_model
from study_records import CONDITIONS, PlannedArm
from tiny_rtdetr import build, tiny_rtdetr_cfg

from derain_plugin.evaluation.comparison import compare
from projects.study import record
from projects.study.arm_records import compare_arms, load_arms
from projects.study.resampled_ap import resampled_aps

RESAMPLES = 40
SUBSET = 6
METRICS = dict(AP="mAP", AP50="mAP_50", AP75="mAP_75", AP_S="mAP_s", AP_M="mAP_m", AP_L="mAP_l")
ARMS = (PlannedArm("control", "the control"), PlannedArm("neck", "the neck"))


@pytest.fixture(scope="module")
def ann_file(coco_root):
    return coco_root / "annotations/instances_val2017.json"


def write_robustness(path, predictions, ann_file):
    """What ``tools/test.py`` leaves of the AP that mmdet measures."""
    conditions = {}
    for condition in CONDITIONS:
        metric = CocoMetric(ann_file=str(ann_file))
        metric.dataset_meta = dict(classes=("square", "disc"))
        samples = [sample for sample in load(predictions) if sample["dataset"] == condition]
        metric.process(None, samples)
        found = metric.evaluate(len(samples))
        values = {name: found[f"coco/bbox_{key}"] for name, key in METRICS.items()}
        conditions[condition] = {n: None if v < 0 else v for n, v in values.items()}
    path.write_text(json.dumps(dict(conditions=conditions)))


@pytest.fixture(scope="module")
def study(ann_file, tmp_path_factory):
    """Predictions, records and options of a control with two seeds and of a better neck."""
    root = tmp_path_factory.mktemp("study")
    config = root / "tiny.py"
    config.write_text(f"model = {tiny_rtdetr_cfg()!r}\nclasses = ('square', 'disc')\n")
    log = root / "weights/20260101/vis_data/scalars.json"
    log.parent.mkdir(parents=True)
    epochs = [
        {"step": e, "clean/coco/bbox_mAP": e / 10, "rainy/coco/bbox_mAP": e / 20} for e in (1, 2, 3)
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in [dict(step=9, loss=1.0), *epochs]))
    (root / "timing.json").write_text(json.dumps(dict(seconds=12.5, done=True)))
    predictions, options = {}, {}
    for number, (arm, factor) in enumerate(dict(control=1.0, neck=0.8).items()):
        for seed in (1, 2):
            name = f"{arm}{seed}"
            errors = {c: factor * (1 + i) for i, c in enumerate(CONDITIONS)}
            (root / name / "20260102").mkdir(parents=True)
            (root / name / "20260101").mkdir()  # an older test
            (root / name / "20260101/robustness.json").write_text("{}")
            path = root / name / "predictions.pkl"
            save_model(path, ann_file, errors, seed=10 * number + seed)
            write_robustness(root / name / "20260102/robustness.json", path, ann_file)
            predictions.setdefault(arm, []).append(path)
            options[name] = dict(
                arm=arm, title=f"the {arm}", seed=seed, split="test", settings="abc",
                tested=root / name, annotations=ann_file, timing=root / "timing.json",
                config=config, checkpoint=root / "weights/epoch_2.pth", scalars=root / "weights",
                out=root / f"results/arms/{arm}/test_seed{seed}.json", resamples=RESAMPLES,
                workers=1,
            )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "SUBSET", SUBSET)
        for own in options.values():
            record.main(command_line(own))
    return dict(root=root, predictions=predictions, options=options)


def command_line(options):
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def read(study, arm="control", seed=1):
    return json.loads((study["root"] / f"results/arms/{arm}/test_seed{seed}.json").read_text())


def assert_same_rows(found, expected):
    found = {(row.model, row.condition): row for row in found}
    assert len(expected) == 10
    for row in expected:
        own = found[row.model, row.condition]
        for key in ("baseline", "value", "difference", "low", "high"):
            # rPC is a ratio of two rounded values.
            assert getattr(own, key) == pytest.approx(getattr(row, key), abs=4e-5), row


def test_intervals_are_those_of_the_comparison_of_the_predictions(study, ann_file):
    arms = load_arms(study["root"] / "results", ARMS, split="test")
    expected = compare(study["predictions"], {"*": ann_file}, resamples=RESAMPLES, workers=1)
    rows = compare_arms(arms, 10)
    assert_same_rows(rows, expected.rows)
    (hard,) = (row for row in rows if row.condition == "severities_3-5")
    of_three = [row for row in rows if row.condition in CONDITIONS[3:6]]
    assert hard.difference == pytest.approx(np.mean([row.difference for row in of_three]))
    assert hard.low > min(row.low for row in of_three)


@pytest.fixture(scope="module")
def first_images(study, ann_file, tmp_path_factory):
    """Predictions of the first images alone, and their annotations."""
    folder = tmp_path_factory.mktemp("first")
    few: dict = {}
    for arm, paths in study["predictions"].items():
        for path in paths:
            (folder / path.parent.name).mkdir()
            few.setdefault(arm, []).append(folder / path.parent.name / path.name)
            dump([s for s in load(path) if s["img_id"] <= SUBSET], few[arm][-1])
    content = json.loads(ann_file.read_text())
    content["images"] = [image for image in content["images"] if image["id"] <= SUBSET]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] <= SUBSET]
    (folder / "few.json").write_text(json.dumps(content))
    return few, folder / "few.json"


def test_the_subset_is_what_a_test_on_the_first_images_gives(study, first_images, tmp_path):
    few, annotations = first_images
    arms = load_arms(study["root"] / "results", ARMS, split="test")
    expected = compare(few, {"*": annotations}, resamples=RESAMPLES, workers=1)
    assert_same_rows(compare_arms(arms, SUBSET), expected.rows)

    tested = few["control"][0].parent
    (tested / "20260101").mkdir()
    write_robustness(tested / "20260101/robustness.json", few["control"][0], annotations)
    options = dict(study["options"]["control1"], tested=tested, annotations=annotations)
    options |= dict(out=tmp_path / "record.json")
    record.main(command_line(options))
    alone, subset = json.loads((tmp_path / "record.json").read_text()), read(study)["subset"]
    assert "subset" not in alone
    for key in ("num_images", "images", "bootstrap", "mPC"):
        assert alone["whole"][key] == subset[key]
    for condition, row in alone["whole"]["conditions"].items():
        assert row == pytest.approx(subset["conditions"][condition], abs=6e-4)


def test_holds_what_the_report_needs(study):
    found = read(study)
    assert found["arm"] == "control"
    assert found["seed"] == 1
    assert found["seconds"] == 12.5  # of the training, by the record of its step
    assert found["learning_curve"] == [[1, 0.1, 0.05], [2, 0.2, 0.1]]  # up to the tested epoch
    model = build(tiny_rtdetr_cfg())
    assert found["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    whole = found["whole"]
    assert whole["num_images"] == 10
    assert whole["conditions"]["clean"].keys() == {"AP", "AP50", "AP_S", "AP_M", "AP_L"}
    rainy = [whole["conditions"][name]["AP"] for name in CONDITIONS[1:6]]
    assert whole["mPC"] == pytest.approx(np.mean(rainy), abs=1e-5)
    assert whole["rPC"] == pytest.approx(whole["mPC"] / whole["P"], abs=1e-4)
    assert {"hardware", "commit", "date", "versions", "settings", "seconds"} <= found.keys()


def test_is_small(study):
    """With ten images resamples lie far from AP, so that their steps have more digits."""
    parts = [read(study)[name]["bootstrap"] for name in ("whole", "subset")]
    characters = sum(len(steps) for part in parts for steps in part.values())
    assert characters / (2 * len(CONDITIONS) * RESAMPLES) < 6.5
    assert resampled_aps(read(study)["whole"]).shape == (RESAMPLES, len(CONDITIONS))


@pytest.mark.parametrize(
    ("lost", "of_another", "message"),
    [
        ("", True, "they are of other models or images"),
        ("20260102/robustness.json", False, "there is no .*robustness.json; tools/test.py"),
        ("predictions.pkl", False, "predictions.pkl is not a file"),
    ],
)
def test_files_of_different_tests(study, tmp_path, lost, of_another, message):
    tested = tmp_path / "tested"
    shutil.copytree(study["root"] / "control1", tested)
    (tested / "20260101/robustness.json").unlink()
    if of_another:
        shutil.copy(study["root"] / "neck1/20260102/robustness.json", tested / "20260102")
    else:
        (tested / lost).unlink()
    options = dict(study["options"]["control1"], tested=tested, out=tmp_path / "record.json")
    with pytest.raises(SystemExit, match=message):
        record.main(command_line(options))
    assert not (tmp_path / "record.json").exists()


def test_conditions_of_another_test(study, ann_file, tmp_path):
    tested = tmp_path / "tested"
    shutil.copytree(study["root"] / "control1", tested)
    save_model(tested / "predictions.pkl", ann_file, dict(clean=1.0, fog=2.0))
    options = dict(study["options"]["control1"], tested=tested, out=tmp_path / "record.json")
    with pytest.raises(SystemExit, match="the predictions have clean, fog: give both files"):
        record.main(command_line(options))
    report = tested / "20260102/robustness.json"
    report.write_text(json.dumps(dict(conditions=dict(clean={}, fog={}))))
    with pytest.raises(SystemExit, match="lack the conditions severity_1, severity_2"):
        record.main(command_line(options))
