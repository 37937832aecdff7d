import cv2
import numpy as np
import pytest

from derain_plugin.evaluation.robustness import (
    as_report,
    comparable_rows,
    draw_robustness,
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


def report(*values: float, **others: float) -> dict:
    names = ["clean", *(f"severity_{k}" for k in range(1, len(values)))]
    conditions = {name: dict(AP=value) for name, value in zip(names, values, strict=True)}
    conditions |= {name: dict(AP=value) for name, value in others.items()}
    return dict(conditions=conditions, robustness=dict(bbox_rPC=0.5), gap={})


@pytest.fixture
def figure(monkeypatch):
    """The figure that is drawn."""
    figures = []
    from matplotlib.figure import Figure

    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), savefig(self, *a, **k))
    )
    return figures


def test_a_line_per_model_and_marks_for_other_rain(tmp_path, figure):
    reports = dict(vanilla=report(0.5, 0.4, 0.1, held_out=0.3), neck=report(0.5, 0.45, 0.3))
    draw_robustness(reports, tmp_path / "plot.png")
    (axes,) = figure[0].axes
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert lines == [
        [[0, 0.5], [1, 0.4], [2, 0.1]],
        [[3, 0.3]],
        [[0, 0.5], [1, 0.45], [2, 0.3]],
    ]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["clean", "1", "2", "held out"]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["vanilla (rPC 0.50)", "neck (rPC 0.50)"]
    assert cv2.imread(str(tmp_path / "plot.png")) is not None


def test_severities_are_in_order_and_at_their_place(tmp_path, figure):
    shuffled = report(0.5)
    shuffled["conditions"] |= {f"severity_{k}": dict(AP=0.1 * k) for k in (5, 1, 3)}
    draw_robustness(dict(model=shuffled), tmp_path / "plot.svg")
    np.testing.assert_allclose(figure[0].axes[0].lines[0].get_xdata(), [0, 1, 3, 5])


def test_a_single_condition_makes_no_line(tmp_path):
    with pytest.raises(ValueError, match=r"neck was not tested at several .*clean, real"):
        draw_robustness(dict(neck=report(0.5, real=0.2)), tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()


def test_an_older_plot_survives_a_bad_format(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        draw_robustness(dict(neck=report(0.5, 0.2)), tmp_path / "plot.xyz")
    assert list(tmp_path.iterdir()) == []
