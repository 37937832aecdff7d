import pytest

from derain_plugin.evaluation.robustness import (
    as_report,
    comparable_rows,
    rain_gaps,
    robustness,
    robustness_table,
)

RESULTS = {
    "clean/coco/bbox_mAP": 0.5, "clean/coco/bbox_mAP_50": 0.7, "clean/coco/bbox_mAP_s": -1,
    "clean/coco/bbox_mAR_100": 0.9, "clean/coco/segm_mAP": 0.4,
    "heavy/coco/bbox_mAP": 0.2, "heavy/coco/bbox_mAP_50": 0.8, "heavy/coco/bbox_mAP_s": -1,
    "heavy/coco/segm_mAP": 0.1, "heavy/coco/bbox_mAP_75": 0.3, "other/coco/bbox_mAP": 0.9,
}  # fmt: skip


@pytest.fixture
def rows():
    return comparable_rows(RESULTS, ("clean", "heavy"))


def test_rows_hold_what_every_dataset_has(rows):
    assert rows["clean"] == dict(bbox_mAP=0.5, bbox_mAP_50=0.7, bbox_mAP_s=-1, segm_mAP=0.4)
    assert rows["heavy"] == dict(bbox_mAP=0.2, bbox_mAP_50=0.8, bbox_mAP_s=-1, segm_mAP=0.1)


def test_gap_may_be_negative_and_is_shown_so(rows):
    gaps = rain_gaps(rows, "clean", ["heavy"])
    assert gaps == dict(bbox_mAP=0.3, bbox_mAP_50=-0.1, segm_mAP=0.3)
    line = robustness_table(rows, gaps, {}).splitlines()[-1]
    assert line.split() == ["gap", "0.300", "-0.100", "-", "0.300"]
    assert as_report(rows, gaps, {})["gap"] == {"AP": 0.3, "AP50": -0.1, "segm AP": 0.3}


def test_measures_are_per_kind_of_ap(rows):
    assert robustness(rows, "clean", ["heavy"]) == dict(
        bbox_P=0.5, bbox_mPC=0.2, bbox_rPC=0.4, segm_P=0.4, segm_mPC=0.1, segm_rPC=0.25
    )


def test_a_detector_that_finds_nothing_has_no_share_to_keep():
    rows = dict(clean=dict(mAP=0.0), heavy=dict(mAP=0.0))
    assert robustness(rows, "clean", ["heavy"]) == dict(P=0.0, mPC=0.0)


def test_without_ground_truth_there_is_nothing_to_compare():
    rows = dict(clean=dict(mAP=0.5), heavy=dict(mAP=-1))
    assert rain_gaps(rows, "clean", ["heavy"]) == robustness(rows, "clean", ["heavy"]) == {}
