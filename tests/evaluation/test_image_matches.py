import dataclasses

import numpy as np
import pytest
from detection_case import random_case


def test_a_detection_finds_a_box_at_lower_thresholds_first():
    matches = random_case(1).match()
    assert matches.correct.any()
    assert matches.ignored.any()
    assert not (matches.correct & matches.ignored).any()
    assert matches.correct[0].sum() > matches.correct[-1].sum()


def test_images_without_boxes_and_detections():
    case = random_case(0, boxes=0, detections=0)
    matches = case.match()
    assert matches.correct.shape == (10, 0)
    assert matches.num_images == 6
    assert matches.positive_image.size == 0


def test_input_is_left_as_it_is():
    case = random_case(0)
    before = [dict(annotation) for annotation in case.annotations]
    boxes = case.predictions.boxes.copy()
    case.match()
    assert case.annotations == before
    np.testing.assert_array_equal(case.predictions.boxes, boxes)


@pytest.mark.parametrize("label", [-1, 4])
def test_label_without_a_class(label):
    case = random_case(0)
    labels = np.where(np.arange(len(case.predictions.labels)) == 0, label, 0)
    predictions = dataclasses.replace(case.predictions, labels=labels)
    with pytest.raises(ValueError, match=rf"random: labels go from .*{label}.* 4 classes"):
        dataclasses.replace(case, predictions=predictions).match()
