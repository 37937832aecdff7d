import cv2
import numpy as np
import pytest

from derain_plugin.evaluation.robustness_plot import draw_robustness


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
