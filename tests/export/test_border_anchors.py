"""Anchors of border cells: transformers gives them the largest float, which no scale survives."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from tiny_rtdetr import FAMILY, build, tiny_rtdetr_cfg

from derain_plugin.apis.exported_model import Metadata
from derain_plugin.export import detector_graph
from derain_plugin.export.conversion import to_onnx
from derain_plugin.export.detector_graph import DetectorGraph

SIZE = (64, 416)  # 52 columns of cells, of which the first and the last are border cells
CELLS = 8 * 52 + 4 * 26 + 2 * 13
ORIGINAL = np.array([SIZE])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 1, 3, *SIZE), dtype=np.uint8)


def detector(shaken, arch="r18", **overrides):
    torch.manual_seed(0)
    return shaken(build(tiny_rtdetr_cfg(arch=arch, **overrides)))


@pytest.mark.parametrize("arch", FAMILY)
@torch.no_grad()
def test_they_are_finite_in_the_graph_and_nothing_else_changes(monkeypatch, shaken, images, arch):
    model = detector(shaken, arch, num_queries=CELLS)  # so that those of the border are chosen too
    graph = DetectorGraph(model)
    anchors, is_inside = graph.head.detr.model.generate_anchors(((8, 52),))
    theirs, _ = model.bbox_head.detr.model.generate_anchors(((8, 52),))
    assert theirs.max() == torch.finfo(torch.float32).max
    assert not is_inside.all()
    assert anchors.max() == 24
    assert torch.equal(anchors.sigmoid(), theirs.sigmoid())
    monkeypatch.setattr(detector_graph, "BORDER_LOGIT", float("inf"))
    unbounded = DetectorGraph(model)
    batch = torch.from_numpy(images[0]), torch.from_numpy(ORIGINAL)
    for found, expected in zip(graph(*batch), unbounded(*batch), strict=True):
        assert torch.equal(found, expected)


class Calibration(CalibrationDataReader):
    def __init__(self, images):
        self.inputs = (dict(images=item, original_sizes=ORIGINAL) for item in images)

    def get_next(self):
        return next(self.inputs, None)


@pytest.mark.slow
def test_the_file_survives_quantize_static(tmp_path, shaken, images):
    metadata = Metadata(("a", "b"), None, SIZE, 1, "fp32", None, "tiny.py", "", None, "0")
    onnx.save(to_onnx(DetectorGraph(detector(shaken)), metadata), tmp_path / "fp32.onnx")
    quantize_static(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", Calibration(images))
    scales = [
        onnx.numpy_helper.to_array(item).max()
        for item in onnx.load(tmp_path / "int8.onnx").graph.initializer
        if item.name.endswith("_scale")
    ]
    assert max(scales) < 2  # 255 values of uint8 images; with the largest float 1e36

    def middles(name):
        session = onnxruntime.InferenceSession(tmp_path / name)
        runs = [session.run(None, dict(images=i, original_sizes=ORIGINAL))[0][0] for i in images]
        boxes = np.concatenate(runs)
        return (boxes[:, 0] + boxes[:, 2]) / 2

    spread, expected = middles("int8.onnx").std(), middles("fp32.onnx").std()
    assert spread == pytest.approx(expected, rel=0.25)  # 97 px; 52 if all anchors are lost
