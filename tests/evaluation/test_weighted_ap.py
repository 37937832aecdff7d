import dataclasses

import numpy as np
import pytest
from detection_case import IOU_THRESHOLDS, pycocotools_stats, random_case
from hypothesis import given, settings
from hypothesis import strategies as st

from derain_plugin.evaluation.image_matches import ImageMatches
from derain_plugin.evaluation.weighted_ap import WeightedAp

METRICS = [IOU_THRESHOLDS, np.array([0.5]), np.array([0.75])]
CASES = dict(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 8),
    boxes=st.integers(0, 6),
    detections=st.integers(0, 20),
)


def weighted_stats(case, weights) -> list[float]:
    values = [WeightedAp(case.match(thresholds))(weights) for thresholds in METRICS]
    return [-1.0 if np.isnan(value) else value for value in values]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ties=st.booleans(), **CASES)
def test_equals_pycocotools(seed, images, boxes, detections, ties):
    case = random_case(seed, images=images, boxes=boxes, detections=detections, ties=ties)
    found = weighted_stats(case, np.ones(images, int))
    assert found == pytest.approx(pycocotools_stats(case), abs=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**CASES)
def test_weights_equal_pycocotools_on_copies(seed, images, boxes, detections):
    case = random_case(seed, images=images, boxes=boxes, detections=detections)
    weights = np.random.default_rng(seed).poisson(1, images)
    weights[seed % images] = max(weights[seed % images], 1)
    expected = pycocotools_stats(case.repeated(weights))
    assert weighted_stats(case, weights) == pytest.approx(expected, abs=1e-9)


def test_many_images():
    """Enough correct detections that each of the 101 recalls finds its own."""
    case = random_case(0, images=90, boxes=12, detections=60)
    weights = np.random.default_rng(0).poisson(1, 90)
    expected = pycocotools_stats(case.repeated(weights))
    assert 0.1 < expected[0] < expected[1] < 0.95
    assert weighted_stats(case, weights) == pytest.approx(expected, abs=1e-9)
    assert weighted_stats(case, weights * 3) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("total", [1, 3, 29, 100, 700])
def test_recalls_that_are_just_reached(total):
    """Rounding: 7 of 100 boxes reach the recall 0.07, although 0.07 * 100 > 7."""
    for found in range(1, min(total, 101) + 1):
        nothing = np.zeros(found, int)
        matches = ImageMatches(
            num_images=1, num_categories=1, image=nothing, category=nothing,
            score=np.linspace(1, 0, found), correct=np.ones((1, found), bool),
            ignored=np.zeros((1, found), bool), positive_image=np.zeros(total, int),
            positive_category=np.zeros(total, int),
        )  # fmt: skip
        reached = np.mean(np.linspace(0, 1, 101) <= found / total)
        assert WeightedAp(matches)(np.ones(1, int)) == pytest.approx(reached, abs=1e-12)


def test_more_than_100_detections_of_a_class_in_an_image():
    case = random_case(1, images=3, boxes=3, detections=900)
    assert max(np.bincount(case.predictions.labels)) > 300
    ones = np.ones(3, int)
    assert weighted_stats(case, ones) == pytest.approx(pycocotools_stats(case), abs=1e-9)
    assert case.match().image.size < case.predictions.scores.size


@pytest.mark.parametrize("iscrowd", [0, 1])
def test_crowds_are_not_to_be_found(iscrowd):
    """With crowds alone there is nothing to find, so AP is undefined rather than 0."""
    case = random_case(2)
    annotations = [dict(annotation, iscrowd=iscrowd) for annotation in case.annotations]
    case = dataclasses.replace(case, annotations=annotations)
    assert np.isnan(WeightedAp(case.match())(np.ones(6, int))) == bool(iscrowd)


def test_an_image_that_does_not_count_changes_nothing():
    case = random_case(3)
    ap = WeightedAp(case.match())
    owner = np.repeat(np.arange(6), case.predictions.counts)
    other = dataclasses.replace(
        case.predictions, labels=np.where(owner == 2, 0, case.predictions.labels)
    )
    changed = WeightedAp(dataclasses.replace(case, predictions=other).match())
    ones, without = np.ones(6, int), np.array([1, 1, 0, 1, 1, 1])
    assert ap(ones) != changed(ones)
    assert ap(without) == changed(without)
