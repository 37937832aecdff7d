import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from tiny_rtdetr import GROUPED, TINY, TINY_OF, build, tiny_rtdetr_cfg
from torch import nn

from derain_plugin.export.detector_graph import DetectorGraph, fused_copy

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


@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED])
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


def with_statistics(**overrides):
    torch.manual_seed(0)
    model = build(tiny_rtdetr_cfg(**overrides)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return model.double()


def names_of_layers(model):
    return {type(module).__name__ for module in model.modules()}


@pytest.mark.parametrize("frozen", [False, True])
def test_fewer_layers_compute_the_same(frozen):
    layers = dict(TINY["backbone_config"], layer_type="bottleneck" if frozen else "basic")
    model = with_statistics(freeze_backbone_batch_norms=frozen, backbone_config=layers)
    assert ("RTDetrFrozenBatchNorm2d" in names_of_layers(model)) == frozen
    before = copy.deepcopy(model.state_dict())
    fused = fused_copy(model)
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        expected = model.neck(model.backbone(images))
        found = fused.neck(fused.backbone(images))
        logits = [m.bbox_head(feats)[0] for m, feats in ((model, expected), (fused, found))]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*logits, rtol=1e-6, atol=1e-6)
    left = [name for name in names_of_layers(fused) if "BatchNorm" in name or "RepVgg" in name]
    assert not left
    assert all(map(torch.equal, model.state_dict().values(), before.values()))


def test_each_repvgg_block_is_one_convolution():
    model = with_statistics()
    blocks = [m for m in model.modules() if type(m).__name__ == "RTDetrRepVggBlock"]
    fused = fused_copy(model)
    count = [sum(isinstance(m, nn.Conv2d) for m in each.modules()) for each in (model, fused)]
    assert count[0] - count[1] == len(blocks) == 12


def test_a_norm_without_convolution_stays():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))
    assert isinstance(fused_copy(model)[0], nn.BatchNorm2d)
