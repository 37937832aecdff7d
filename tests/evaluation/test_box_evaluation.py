"""Boxes evaluated by hotcoco from arrays: the same bits as by pycocotools from lists of dicts."""

import contextlib
import dataclasses
import io
import os

import numpy as np
import pytest
from forked import run_forked
from hard_boxes import hard_case

from derain_plugin.evaluation import box_evaluation
from derain_plugin.evaluation.box_evaluation import (
    BoxDetections,
    BoxTruth,
    boxes_xywh,
    match_boxes,
)
from derain_plugin.evaluation.image_matches import match_images

SEEDS = range(24)
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = ("all", "small", "medium", "large")


@pytest.fixture
def by_pycocotools(monkeypatch):
    """Calls a function with pycocotools in the place of hotcoco, as in a forked process."""

    def call(function, *args, **kwargs):
        with monkeypatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.setattr(box_evaluation, "_threads_of", os.getppid())
            return function(*args, **kwargs)

    return call


def accumulated(case, max_detections, thresholds=IOU_THRESHOLDS):
    truth = BoxTruth.of(
        case.annotations,
        image_ids=case.predictions.image_ids.tolist(),
        category_ids=sorted(case.category_ids),
    )
    found = BoxDetections(
        np.repeat(np.arange(truth.num_images), case.predictions.counts),
        np.argsort(np.argsort(case.category_ids))[case.predictions.labels],
        boxes_xywh(case.predictions.boxes),
        case.predictions.scores.astype(float),
    )
    evaluation = match_boxes(truth, found, iou_thresholds=thresholds, max_detections=max_detections)
    evaluation.accumulate()
    return evaluation.eval


def matches(case, area, thresholds=IOU_THRESHOLDS):
    return match_images(
        case.predictions, case.annotations, category_ids=case.category_ids,
        iou_thresholds=thresholds, area=area,
    )  # fmt: skip


def assert_same_matches(found, expected):
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value, err_msg=name, strict=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_precision_and_recall_are_those_of_pycocotools(seed, by_pycocotools):
    case = hard_case(seed)
    max_detections = [(1, 10, 100), (100, 100, 100), (1000, 100, 300)][seed % 3]
    found, expected = (
        call(accumulated, case, max_detections)
        for call in (lambda function, *args: function(*args), by_pycocotools)
    )
    for key in ("precision", "recall", "scores"):
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key, strict=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_matches_are_those_of_pycocotools(seed, by_pycocotools):
    case, area = hard_case(seed), AREAS[seed // 4 % 4]
    assert_same_matches(matches(case, area), by_pycocotools(matches, case, area))


@pytest.mark.parametrize("thresholds", [[0.5], [1.0, 0.75, 0.01], [0.0, 0.5]], ids=str)
def test_any_thresholds(thresholds, by_pycocotools):
    case, thresholds = hard_case(5), np.array(thresholds)
    expected = by_pycocotools(matches, case, "all", thresholds)
    assert expected.correct.any()
    assert_same_matches(matches(case, "all", thresholds), expected)


def with_values(case, *, boxes=None, scores=None):
    """The case with values in every seventh detection: a fourth corner, a score."""
    predictions = case.predictions
    changed = dict(boxes=predictions.boxes.copy(), scores=predictions.scores.copy())
    if boxes is not None:
        changed["boxes"][::7, 3] = boxes
    if scores is not None:
        changed["scores"][::7] = scores
    return dataclasses.replace(case, predictions=dataclasses.replace(predictions, **changed))


@pytest.mark.parametrize(
    "values",
    [
        dict(boxes=np.inf),
        dict(boxes=-50),
        dict(scores=np.inf),
        dict(scores=-1),
        dict(scores=np.nan),
    ],
    ids=str,
)
def test_values_that_no_detector_should_give(values, by_pycocotools):
    case = with_values(hard_case(4), **values)
    assert_same_matches(matches(case, "all"), by_pycocotools(matches, case, "all"))


def test_a_box_with_nan_finds_nothing(by_pycocotools):
    case = with_values(hard_case(5), boxes=np.nan)
    is_nan = np.isnan(case.predictions.boxes).any(axis=1)
    none = dataclasses.replace(case.predictions, boxes=np.full_like(case.predictions.boxes, np.nan))
    assert is_nan.any()
    assert not matches(dataclasses.replace(case, predictions=none), "all").correct.any()
    # There it finds whatever it is compared with.
    expected = by_pycocotools(matches, dataclasses.replace(case, predictions=none), "all")
    assert expected.correct.any()


@pytest.mark.parametrize(
    ("images", "boxes", "precision"),
    [
        ([0, 0], ["wrong", "right"], 0.5),
        ([0, 0], ["right", "wrong"], 1.0),
        ([1, 0], ["wrong", "right"], 1.0),
        ([1, 0], ["right", "wrong"], 0.5),
    ],
)
def test_of_equal_scores_the_first_is_the_better(images, boxes, precision, by_pycocotools):
    """Within an image in the order of its detections, across images in that of their ids."""
    named = {"right": [0, 0, 10, 10], "wrong": [50, 50, 10, 10]}
    right = np.array([named["right"]], float)
    image = np.array([images[boxes.index("right")]])
    truth = BoxTruth(2, 1, image, np.zeros(1, int), right, np.array([100.0]), np.zeros(1, bool))
    found = BoxDetections(
        np.array(images), np.zeros(2, int), np.array([named[n] for n in boxes], float), np.ones(2)
    )
    how = dict(iou_thresholds=np.array([0.5]), max_detections=[100])
    for evaluation in (
        match_boxes(truth, found, **how),
        by_pycocotools(match_boxes, truth, found, **how),
    ):
        evaluation.accumulate()
        assert evaluation.eval["precision"].max() == pytest.approx(precision)


def test_a_copy_of_a_process_that_has_evaluated():
    """Threads are not copied: hotcoco would wait for them for ever."""
    case = hard_case(4)
    run_forked(_evaluate_again, case, matches(case, "all"), accumulated(case, (1, 10, 100)))


def _evaluate_again(case, expected, precisions):
    assert_same_matches(matches(case, "all"), expected)
    found = accumulated(case, (1, 10, 100))["precision"]
    np.testing.assert_array_equal(found, precisions["precision"])
