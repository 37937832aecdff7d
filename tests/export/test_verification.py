import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from derain_plugin.export.verification import LEAST_COMPARED, TOLERANCES, Tolerance, compare

IMAGE = {"a.jpg": np.zeros((100, 200, 3), np.uint8)}
STRICT = TOLERANCES["fp32"]
BASE = [((10, 10, 50, 50), 0.9, 0), ((20, 20, 60, 60), 0.5, 1), ((12, 10, 50, 50), 0.3, 0)]


def found(*rows):
    boxes, scores, labels = zip(*rows, strict=True)
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels),
    )


def agreement(ours, theirs, tolerance=STRICT):
    return compare(lambda _: found(*ours), lambda _: found(*theirs), IMAGE, tolerance)


def test_the_same_in_another_order():
    result = agreement(BASE, BASE[::-1])
    assert (result.compared, result.matched) == (6, 6)
    assert result.box_difference == result.score_difference == 0
    assert not result.differences


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (((10, 10, 50, 50.6), 0.9, 0), "nearest is off by 0.6 px, 0"),
        (((10, 10, 50, 50), 0.898, 0), "nearest is off by 0 px, 0.002"),
        (((10, 10, 50, 50), 0.9, 1), "nearest is off by 2 px, 0.6"),
    ],
    ids=["box", "score", "label"],
)
def test_each_difference_is_named_from_both_sides(change, text):
    result = agreement(BASE, [change, *BASE[1:]])
    assert (result.compared, result.matched) == (6, 4)
    assert len(result.differences) == 2
    assert result.differences[0].startswith("a.jpg: PyTorch has label 0, score 0.9000, box [10.0")
    assert "a.jpg: the exported file has label" in result.differences[1]
    assert text in result.differences[0]


def test_within_the_limits():
    near = [((10.4, 10, 50, 50), 0.9005, 0), *BASE[1:]]
    result = agreement(BASE, near)
    assert result.matched == result.compared
    assert result.box_difference == pytest.approx(0.4, abs=1e-5)
    assert result.score_difference == pytest.approx(0.0005, abs=1e-6)
    assert "6 of 6 detections agree; largest difference 0.4 px, score 0.0005" in str(result)


def test_one_partner_each():
    twice = [BASE[0], BASE[0], *BASE[1:]]
    result = agreement(twice, BASE)
    assert len(result.differences) == 1
    assert result.differences[0].startswith("a.jpg: PyTorch has")


def test_a_chain_of_neighbours_is_matched_as_a_whole():
    """The nearest partner of the second is the only one of the first."""
    ours = [((0, 0, 10, 10.0), 0.9, 0), ((0, 0, 10, 10.4), 0.9, 0)]
    theirs = [((0, 0, 10, 10.4), 0.9, 0), ((0, 0, 10, 10.8), 0.9, 0)]
    assert agreement(ours, theirs).matched == 4


def test_low_scores_do_not_count_unless_nothing_scores_higher():
    low = [((i, 0, 10 + i, 10), 0.04 - i / 1000, 0) for i in range(LEAST_COMPARED + 3)]
    assert agreement(low, low).compared == 2 * LEAST_COMPARED
    high = [((i, 0, 10 + i, 10), 0.5, 0) for i in range(LEAST_COMPARED)]
    other = [(box, score - 0.01, label) for box, score, label in low]
    assert not agreement([*high, *low], [*high, *other]).differences


def test_around_the_threshold_the_others_low_scores_are_partners():
    high = [((i, 0, 10 + i, 10), 0.5, 0) for i in range(LEAST_COMPARED)]
    box = (90, 0, 99, 9)
    result = agreement([*high, (box, 0.0502, 0)], [*high, (box, 0.0498, 0)])
    assert result.compared == 2 * LEAST_COMPARED + 1
    assert not result.differences


def test_the_limit_grows_with_the_image():
    loose = Tolerance(pixels=0.5, share=0.01, score=1e-3)
    moved = [((12.4, 10, 50, 50), 0.9, 0), *BASE[1:]]
    assert not agreement(BASE, moved, loose).differences  # 2.5 px on 200 px
    assert agreement(BASE, moved, STRICT).differences


def test_nothing_with_that_label():
    result = agreement(BASE[1:2], BASE[:1])
    assert "the other has nothing with that label" in result.differences[0]
