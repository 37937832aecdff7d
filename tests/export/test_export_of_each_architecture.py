"""Each architecture finds the same in ONNX and in OpenVINO, and nearly that in few bits."""

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from mmengine.structures import InstanceData
from tiny_rtdetr import GROUPED, TINY_OF, build, tiny_rtdetr_cfg

from derain_plugin.apis.exported_model import INPUT_NAMES, Metadata, resized
from derain_plugin.export import verification
from derain_plugin.export.conversion import quantized, to_onnx, to_openvino
from derain_plugin.export.detector_graph import DetectorGraph
from derain_plugin.export.verification import TOLERANCES, Tolerance, compare

EXACT = Tolerance(pixels=0.02, share=0, score=1e-4)
METADATA = Metadata(
    classes=("a", "b"), palette="random", input_size=(64, 64), batch=1, precision="fp32",
    derain=None, config="a.py", config_hash="0", checkpoint=None, plugin_version="0",
)  # fmt: skip


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


@pytest.fixture(scope="module", params=[*TINY_OF, *GROUPED])
def traced(request, shaken):
    """An architecture's name, its graph, and that as an ONNX model."""
    torch.manual_seed(0)
    model = shaken(build(derained_cfg(request.param)))
    is_grouped = request.param in GROUPED
    graph = DetectorGraph(with_middling_scores(model) if is_grouped else model)
    return request.param, graph, to_onnx(graph, METADATA)


@pytest.mark.slow
def test_files_find_what_the_graph_finds(traced, images, monkeypatch):
    monkeypatch.setattr(verification, "SCORE_THR", 0)  # all detections, the faint ones, too
    _, graph, onnx_model = traced
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    compiled = openvino.compile_model(to_openvino(onnx_model, METADATA), "CPU", hint("f32"))

    def in_onnxruntime(pixels, sizes):
        return session.run(None, dict(zip(INPUT_NAMES, (pixels, sizes), strict=True)))

    detect = detect_by(in_torch(graph))
    assert min(np.ptp(detect(image).scores.numpy()) for image in images.values()) > 0.01
    for run in (in_onnxruntime, in_openvino(compiled)):
        found = compare(detect, detect_by(run), images, EXACT)
        assert found.matched == found.compared, found.differences


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_few_bits_find_most_of_it(traced, images, precision):
    arch, graph, onnx_model = traced
    converted = to_openvino(onnx_model, METADATA)
    if precision == "int8":
        converted = quantized(converted, list(images.values()), METADATA)
    compiled = openvino.compile_model(
        converted, "CPU", hint("bf16" if precision == "bf16" else "f32")
    )
    tolerance = TOLERANCES[precision]
    found = compare(detect_by(in_torch(graph)), detect_by(in_openvino(compiled)), images, tolerance)
    assert found.compared >= 40
    # A ViT of random weights makes much of a rounding.
    least = 0.5 if arch in GROUPED else tolerance.matched
    assert found.matched >= least * found.compared, found


def in_torch(graph):
    def run(pixels, sizes):
        with torch.no_grad():
            return graph(torch.from_numpy(pixels), torch.from_numpy(sizes))

    return run


def in_openvino(compiled):
    return lambda *inputs: compiled(dict(zip(INPUT_NAMES, inputs, strict=True))).values()


def detect_by(run):
    """Return what detects in an image ``(H, W, 3)`` by a graph of one of 64 x 64."""

    def detect(image):
        pixels = resized(image, (64, 64)).transpose(2, 0, 1)[None]
        found = run(np.ascontiguousarray(pixels), np.array([image.shape[:2]]))
        boxes, scores, labels = (torch.as_tensor(values)[0] for values in found)
        return InstanceData(bboxes=boxes, scores=scores, labels=labels)

    return detect


def hint(precision):
    return dict(INFERENCE_PRECISION_HINT=precision)
