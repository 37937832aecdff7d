import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from tiny_rtdetr import FAMILY, build, tiny_rtdetr_cfg
from torch import nn

from derain_plugin.export.detector_graph import DetectorGraph

SIZES = [(40, 70), (123, 50)]


def samples():
    """As a pipeline that resizes to 64 x 64 px packs them."""
    metas = [
        dict(img_shape=(64, 64), ori_shape=(h, w), scale_factor=(64 / w, 64 / h)) for h, w in SIZES
    ]
    return [DetDataSample(metainfo=meta) for meta in metas]


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def check_same(model, images, *, tolerance, half=False):
    expected = model.test_step(dict(inputs=list(images), data_samples=samples()))
    boxes, scores, labels = DetectorGraph(model, half=half)(images, torch.tensor(SIZES))
    for index, sample in enumerate(expected):
        wanted = sample.pred_instances
        torch.testing.assert_close(scores[index], wanted.scores, rtol=0, atol=tolerance)
        if not half:  # ranks of close scores
            torch.testing.assert_close(boxes[index], wanted.bboxes, rtol=0, atol=100 * tolerance)
            assert torch.equal(labels[index], wanted.labels)
    return boxes


@pytest.mark.parametrize("half", [False, True])
def test_from_pixels_to_boxes_as_predict(detector, images, half):
    check_same(detector.model, images, tolerance=0.01 if half else 1e-4, half=half)


@pytest.mark.parametrize("arch", FAMILY)
def test_each_architecture(arch, images, shaken):
    torch.manual_seed(0)
    check_same(shaken(build(tiny_rtdetr_cfg(arch=arch))), images, tolerance=1e-4)


def test_any_normalisation(images, detector):
    preprocessor = dict(
        type="DetDataPreprocessor", mean=[99, 110, 120], std=[50, 60, 70], bgr_to_rgb=False
    )
    model = build(dict(tiny_rtdetr_cfg(), data_preprocessor=preprocessor)).eval()
    state_dict = {
        name.replace("neck.neck.", "neck."): tensor
        for name, tensor in detector.model.state_dict().items()
        if not name.startswith("neck.derain.")
    }
    model.load_state_dict(state_dict)
    check_same(model, images, tolerance=1e-4)


def test_boxes_are_clipped_to_the_original(detector, images):
    model = copy.deepcopy(detector.model)
    with torch.no_grad():
        for branch in model.bbox_head.detr.model.decoder.bbox_embed:
            branch.layers[-1].bias[2:] += 2  # as large as the image
    boxes = check_same(model, images, tolerance=1e-4)
    limits = torch.tensor([(width, height) * 2 for height, width in SIZES])[:, None]
    assert (boxes >= 0).all()
    assert (boxes <= limits).all()
    assert (boxes == limits).any()


def test_half_but_for_the_head(detector):
    graph = DetectorGraph(detector.model, half=True)
    dtypes = {p.dtype for p in (*graph.backbone.parameters(), *graph.neck.parameters())}
    assert dtypes == {torch.float16}
    assert {p.dtype for p in graph.head.parameters()} == {torch.float32}
    assert {p.dtype for p in detector.model.parameters()} == {torch.float32}


def test_a_restorer_is_not_exported():
    preprocessor = dict(
        type="PixelDerainDataPreprocessor", restorer=dict(type="SPDNet", n_feats=4, num_blocks=1)
    )
    model = build(dict(tiny_rtdetr_cfg(), data_preprocessor=preprocessor))
    with pytest.raises(ValueError, match=r"restores images with SPDNet .* not exported"):
        DetectorGraph(model)


def test_other_detectors_are_refused():
    with pytest.raises(ValueError, match=r"only detectors of the RT-DETR family .* got Sequential"):
        DetectorGraph(nn.Sequential())
