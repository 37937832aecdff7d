"""``NamedCocoMetric`` gives what mmdet's ``CocoMetric`` gives, without its json."""

import json
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from hard_boxes import hard_case
from mmdet.evaluation import CocoMetric
from mmengine.logging import MMLogger

from derain_plugin.evaluation import NamedCocoMetric


@pytest.fixture
def lines(monkeypatch):
    """What is logged."""
    logged: list[str] = []
    logger = SimpleNamespace(info=logged.append, error=logged.append)
    monkeypatch.setattr(MMLogger, "get_current_instance", lambda: logger)
    return logged


def metric_of(case, ann_file, **options):
    metric = NamedCocoMetric(ann_file, **options)
    metric.dataset_meta = dict(classes=case.classes)
    metric.process({}, case.samples())
    return metric


OPTIONS = {
    "defaults": {},
    "100 of each": dict(proposal_nums=(100, 100, 100)),
    "few of each, unsorted": dict(proposal_nums=(100, 2, 10)),
    "per class": dict(classwise=True),
    "own items": dict(metric_items=["mAP_75", "AR@100", "AR_l@1000"]),
    "own thresholds": dict(iou_thrs=np.array([0.3, 0.5])),
    "not 100 of each": dict(proposal_nums=(1, 10, 50)),
    "with proposals": dict(metric=["bbox", "proposal"]),
    "proposals first": dict(metric=["proposal", "bbox"]),
    "proposals alone": dict(metric="proposal"),
}


@pytest.mark.parametrize("seed", [0, 1, 5, 8, 9, 11])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_names_and_values_are_those_of_mmdet(seed, options, tmp_path, lines):
    case = hard_case(seed)
    ann_file = case.write(tmp_path / "a.json")
    metric = metric_of(case, ann_file, **options)
    expected = CocoMetric.compute_metrics(metric, metric.results)
    said = lines.copy()
    lines.clear()
    metric = metric_of(case, ann_file, **options)
    found = metric.compute_metrics(metric.results)
    assert list(found) == list(expected)
    np.testing.assert_array_equal(list(found.values()), list(expected.values()))
    assert sorted(lines) == sorted(said)
    assert metric.metrics == [options.get("metric", "bbox")] or isinstance(options["metric"], list)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_unrounded_stats_are_those_of_pycocotools(seed, tmp_path, monkeypatch):
    case = hard_case(seed)
    metric = metric_of(case, case.write(tmp_path / "a.json"))
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr("mmdet.evaluation.metrics.coco_metric.COCOeval.__init__", _remembering(seen))
        CocoMetric.compute_metrics(metric, metric.results)
    stats = metric.evaluate_boxes([found for _, found in metric.results]).stats
    np.testing.assert_allclose(stats, seen[0].stats, rtol=0, atol=1e-12)
    assert len(stats) == 12


def _remembering(seen):
    initialise = __import__("pycocotools.cocoeval").cocoeval.COCOeval.__init__

    def remember(self, *args, **kwargs):
        seen.append(self)
        initialise(self, *args, **kwargs)

    return remember


def test_thresholds_as_a_list_or_a_number(tmp_path):
    """mmdet's metric gives no AP50 for a list, and nothing for a number."""
    case = hard_case(5)
    ann_file = case.write(tmp_path / "a.json")
    values = [
        metric_of(case, ann_file, iou_thrs=thresholds).evaluate(size=len(case.samples()))
        for thresholds in (0.5, [0.5], np.array([0.5]))
    ]
    assert values[0] == values[1] == values[2]
    assert values[0]["coco/bbox_mAP"] == values[0]["coco/bbox_mAP_50"] > 0
    assert values[0]["coco/bbox_mAP_75"] == -1


def test_per_class_with_few_thresholds(tmp_path):
    """mmdet's table of classes looks for a sixth."""
    case = hard_case(5)
    ann_file = case.write(tmp_path / "a.json")
    metric = metric_of(case, ann_file, classwise=True, iou_thrs=[0.5])
    names = [f"coco/{name}_precision" for name in case.classes]
    assert {*names} < {*metric.evaluate(size=len(case.samples()))}


def test_json_is_written_where_it_is_wanted(tmp_path, monkeypatch):
    case = hard_case(5)
    ann_file = case.write(tmp_path / "a.json")
    written = metric_of(case, ann_file, outfile_prefix=str(tmp_path / "ours"))
    CocoMetric.compute_metrics(written, written.results)
    expected = json.loads((tmp_path / "ours.bbox.json").read_text())
    (tmp_path / "ours.bbox.json").unlink()
    assert written.compute_metrics(written.results)["bbox_mAP"] > 0
    assert json.loads((tmp_path / "ours.bbox.json").read_text()) == expected
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(CocoMetric, "results2json", None)
    metric_of(case, ann_file).evaluate(size=len(case.samples()))


def test_format_only(tmp_path, lines):
    case = hard_case(5)
    options = dict(format_only=True, outfile_prefix=str(tmp_path / "out" / "a"))
    (tmp_path / "out").mkdir()
    metric = metric_of(case, case.write(tmp_path / "a.json"), **options)
    assert metric.compute_metrics(metric.results) == {}
    assert len(json.loads((tmp_path / "out/a.bbox.json").read_text())) == len(
        case.predictions.scores
    )
    assert lines == [f"results are saved in {tmp_path / 'out'}"]


def test_nothing_found(tmp_path, lines):
    case = hard_case(5)
    metric = metric_of(case, case.write(tmp_path / "a.json"))
    empty = [(truth, {k: v[:0] if k != "img_id" else v for k, v in found.items()})
             for truth, found in metric.results]  # fmt: skip
    assert metric.compute_metrics(empty) == {}
    assert lines == ["Evaluating bbox...", "The testing results of the whole dataset is empty."]


def test_ground_truth_of_the_samples(tmp_path):
    """Without ``ann_file``, as mmdet's metric does it."""
    case = hard_case(5)
    samples = case.samples()
    for sample in samples:
        of_image = [a for a in case.annotations if a["image_id"] == sample["img_id"]]
        sample["instances"] = [
            dict(
                bbox=[*a["bbox"][:2], a["bbox"][0] + a["bbox"][2], a["bbox"][1] + a["bbox"][3]],
                bbox_label=case.category_ids.index(a["category_id"]), ignore_flag=a["iscrowd"],
            )
            for a in of_image
        ]  # fmt: skip
    values = []
    for compute in CocoMetric.compute_metrics, NamedCocoMetric.compute_metrics:
        metric = NamedCocoMetric()
        metric.dataset_meta = dict(classes=case.classes)
        metric.process({}, samples)
        values.append(compute(metric, metric.results))
    assert values[0] == values[1]
    assert values[0]["bbox_mAP"] > 0


def test_unknown_item(tmp_path):
    case = hard_case(5)
    metric = metric_of(case, case.write(tmp_path / "a.json"), metric_items=["mAP_60"])
    with pytest.raises(KeyError, match='metric item "mAP_60" is not supported'):
        metric.evaluate(size=1)


def test_an_image_that_the_file_does_not_list(tmp_path):
    case = hard_case(5)
    metric = metric_of(case, case.write(tmp_path / "a.json"))
    metric.results[0][1]["img_id"] = 77
    with pytest.raises(ValueError, match=r"image 77 was tested.*annotation file"):
        metric.evaluate(size=1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_detector_that_diverged_gets_no_points(value, tmp_path):
    case = hard_case(5)
    case.predictions.boxes[:] = value
    metric = metric_of(case, case.write(tmp_path / "a.json"))
    assert metric.compute_metrics(metric.results)["bbox_mAP"] == 0


def test_an_image_without_detections_has_labels_of_any_type(tmp_path):
    case = hard_case(5)
    metric = metric_of(case, case.write(tmp_path / "a.json"))
    expected = metric.compute_metrics(metric.results)
    for _, found in metric.results:
        if not len(found["labels"]):
            found.update(labels=np.zeros(0, np.float32), bboxes=np.zeros(0, np.float32))
    assert any(found["labels"].dtype == np.float32 for _, found in metric.results)
    assert metric.compute_metrics(metric.results) == expected
