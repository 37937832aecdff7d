"""The ViTs of RF-DETR and LW-DETR."""

import pytest
import torch
from tiny_rtdetr import GROUPED, build, tiny, tiny_rtdetr_cfg

from derain_plugin.models import RTDETRBackbone, RTDETRHybridEncoder


@pytest.mark.parametrize(
    ("arch", "channels", "stride", "size"),
    [
        ("rfdetr_nano", [384] * 4, 16, (96, 96)),
        ("rfdetr_base", [384] * 4, 14, (112, 112)),
        ("lwdetr_tiny", [192] * 3, 16, (64, 128)),
        ("lwdetr_large", [384] * 4, 16, (64, 128)),
    ],
)
def test_maps_are_of_one_size(arch, channels, stride, size):
    backbone = RTDETRBackbone(arch).eval()
    with torch.no_grad():
        feats = backbone(torch.rand(1, 3, *size))
    assert list(backbone.out_channels) == [feat.shape[1] for feat in feats] == channels
    assert {tuple(f.shape[2:]) for f in feats} == {(size[0] // stride, size[1] // stride)}
    neck = RTDETRHybridEncoder(arch).eval()
    assert neck.in_channels == backbone.out_channels
    with torch.no_grad():
        projected = neck(feats)
    assert [each.shape[1] for each in projected] == list(neck.out_channels)
    assert len(projected) == (2 if arch == "lwdetr_large" else 1)


@pytest.mark.parametrize(
    ("arch", "size", "message"),
    [
        (
            "rfdetr_nano",
            (64, 80),
            r"2x2 windows of patches of 16 px.*multiples of 32, got \(64, 80",
        ),
        ("rfdetr_nano", (64, 96), r"needs square images, got \(64, 96\)"),
        ("lwdetr_tiny", (64, 72), r"multiples of 16, got \(64, 72\).*pad_size_divisor=16"),
    ],
)
def test_images_that_do_not_consist_of_windows(arch, size, message):
    with pytest.raises(ValueError, match=message):
        RTDETRBackbone(arch, **tiny(arch))(torch.rand(1, 3, *size))


def test_without_windows_images_need_not_be_square():
    vit = dict(tiny("rfdetr_nano")["backbone_config"], num_windows=1)
    feats = RTDETRBackbone("rfdetr_nano", backbone_config=vit)(torch.rand(1, 3, 48, 80))
    assert {tuple(feat.shape[2:]) for feat in feats} == {(3, 5)}


def test_fewer_positions_than_queries_are_told():
    model = build(tiny_rtdetr_cfg(arch="rfdetr_nano", num_queries=40)).eval()
    with pytest.raises(
        ValueError, match="36 locations on maps of 6 x 6, fewer than the 40 queries"
    ):
        model(torch.rand(1, 3, 96, 96), mode="tensor")


@pytest.mark.parametrize("arch", GROUPED)
@pytest.mark.parametrize("frozen_stages", [-1, 0, 2])
def test_layers_can_be_frozen_and_those_without_effect_are(arch, frozen_stages):
    vit = RTDETRBackbone(arch, frozen_stages=frozen_stages, **tiny(arch)).model
    layers = [vit.embeddings, *vit.encoder.layer]
    trains = [any(p.requires_grad for p in layer.parameters()) for layer in layers]
    assert trains == [index > frozen_stages and index < 4 for index in range(5)]


def test_early_blocks_need_maps():
    early = dict(type="EarlyFeatureDerain")
    with pytest.raises(ValueError, match="RfDetrDinov2Backbone cannot have early"):
        RTDETRBackbone("rfdetr_nano", early_derain=early, **tiny("rfdetr_nano"))


@pytest.mark.parametrize("arch", GROUPED)
def test_the_decoder_starts_as_upstream_does(arch):
    torch.manual_seed(0)
    model = build(tiny_rtdetr_cfg(3, arch)).eval()
    detr = model.bbox_head.detr
    prior = torch.full((3,), -4.5951)  # of 0.01
    for layer in (detr.class_embed, *detr.model.enc_out_class_embed):
        torch.testing.assert_close(layer.bias, prior, atol=1e-4, rtol=0)
    for head in (detr.bbox_embed, *detr.model.enc_out_bbox_embed):
        assert not head.layers[-1].weight.any()
    assert not detr.model.reference_point_embed.weight.any()
    assert 0.9 < detr.model.query_feat.weight.std() < 1.1
    offsets = detr.model.decoder.layers[0].cross_attn.sampling_offsets
    assert not offsets.weight.any()
    assert offsets.bias.view(4, -1, 2)[0, :2].tolist() == [[1, 0], [2, 0]]
    logits, boxes = model(torch.rand(1, 3, 96, 96), mode="tensor")
    assert logits.sigmoid().mean() < 0.05
    assert boxes.isfinite().all()
