"""Each architecture finds the same in ONNX and in OpenVINO, de-rain parts anywhere in it."""

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from tiny_rtdetr import GROUPED, TINY_OF, build, tiny_rtdetr_cfg

from derain_plugin.apis.exported_model import INPUT_NAMES, Metadata
from derain_plugin.export.conversion import to_onnx, to_openvino
from derain_plugin.export.detector_graph import DetectorGraph

SIZES = np.array([[40, 70]])


def derained_cfg(arch):
    cfg = tiny_rtdetr_cfg(arch=arch)
    channels = [32, 32] if arch in GROUPED else TINY_OF[arch]["encoder_in_channels"]
    derain = dict(type="MultiScaleFeatureDerain", in_channels=channels)
    has_blocks = arch.startswith(("dfine", "deimv2"))  # that are named, not of this class
    has_early = not has_blocks and arch not in GROUPED
    early = dict(early_derain=dict(type="EarlyFeatureDerain")) if has_early else {}
    return dict(
        cfg,
        backbone=dict(cfg["backbone"], **early),
        neck=dict(type="DerainNeck", derain=derain, neck=cfg["neck"]),
    )


def with_middling_scores(model):
    """Scores near 0, as the tiny LW-DETR has them, would all be alike."""
    for name, parameter in model.named_parameters():
        if "class_embed" in name and name.endswith("bias"):
            parameter.data.zero_()
    return model


@pytest.mark.slow
@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED])
def test_files_find_what_the_graph_finds(arch, shaken):
    torch.manual_seed(0)
    model = shaken(build(derained_cfg(arch)))
    graph = DetectorGraph(with_middling_scores(model) if arch in GROUPED else model)
    images = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        boxes, scores, labels = graph(images, torch.tensor(SIZES))
    assert np.ptp(scores) > 0.01
    metadata = Metadata(
        classes=("a", "b"), palette="random", input_size=(64, 64), batch=1, precision="fp32",
        derain=None, config="a.py", config_hash="0", checkpoint=None, plugin_version="0",
    )  # fmt: skip
    onnx_model = to_onnx(graph, metadata)
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    inputs = dict(zip(INPUT_NAMES, (images.numpy(), SIZES), strict=True))
    precision = dict(INFERENCE_PRECISION_HINT="f32")
    compiled = openvino.compile_model(to_openvino(onnx_model, metadata), "CPU", precision)
    for found in (session.run(None, inputs), [*compiled(inputs).values()]):
        np.testing.assert_allclose(found[1], scores, atol=1e-4)
        np.testing.assert_allclose(found[0], boxes, atol=0.02)
        np.testing.assert_array_equal(found[2], labels)
