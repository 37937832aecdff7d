import pytest
import torch
from transformers import RTDetrForObjectDetection

from derain_plugin.models.rtdetr.config import ARCHITECTURES, rtdetr_config
from derain_plugin.models.rtdetr.family import family_of

# Millions, from the README files of RT-DETR, RT-DETRv2 (the same), D-FINE and DEIMv2.
PUBLISHED = dict(r18=20, r34=31, r50=42, r101=76)
PUBLISHED |= {f"rtdetrv2_{arch}": size for arch, size in PUBLISHED.items()}
PUBLISHED |= dict(dfine_n=4, dfine_s=10, dfine_m=19, dfine_l=31, dfine_x=62)
PUBLISHED |= dict(deimv2_atto=0.5, deimv2_femto=1.0, deimv2_pico=1.5, deimv2_n=3.6)
# RF-DETR and LW-DETR with a class for each of COCO's category ids, and all groups of queries.
PUBLISHED |= dict(rfdetr_nano=30.5, rfdetr_small=32.1, rfdetr_medium=33.7, rfdetr_large=33.9)
PUBLISHED |= dict(rfdetr_base=32.2, lwdetr_tiny=12.1, lwdetr_small=14.6, lwdetr_medium=28.2)
PUBLISHED |= dict(lwdetr_large=46.8, lwdetr_xlarge=118.0)
PUBLISHED |= dict(deimv2_s=9.7, deimv2_m=18.1, deimv2_l=32.2, deimv2_x=50.3)


@pytest.mark.parametrize(
    ("arch", "decoder_layers", "hidden", "channels", "frozen_norms"),
    [
        ("r18", 3, 256, [128, 256, 512], False),
        ("r34", 4, 256, [128, 256, 512], False),
        ("r50", 6, 256, [512, 1024, 2048], True),
        ("r101", 6, 384, [512, 1024, 2048], True),
    ],
)
def test_architectures(arch, decoder_layers, hidden, channels, frozen_norms):
    config = rtdetr_config(arch)
    assert config.decoder_layers == decoder_layers
    assert config.encoder_hidden_dim == hidden
    assert list(config.encoder_in_channels) == channels
    assert config.backbone_config.hidden_sizes[1:] == channels
    assert config.freeze_backbone_batch_norms is frozen_norms
    second = rtdetr_config(f"rtdetrv2_{arch}").to_dict()
    names = [*ARCHITECTURES[arch][1], "backbone_config"]
    first = config.to_dict()
    assert {name: second[name] for name in names} == {name: first[name] for name in names}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_sizes_are_the_published_ones(arch):
    is_vit = arch.startswith(("rfdetr", "lwdetr"))
    config = rtdetr_config(arch, num_labels=91 if is_vit else 80)
    with torch.device("meta"):
        model = family_of(config).detector(config)
    error = abs(sum(p.numel() for p in model.parameters()) / 1e6 - PUBLISHED[arch])
    most = max(0.06, 0.02 * PUBLISHED[arch]) if arch.startswith("deimv2") else 1
    assert error < (0.06 if is_vit else most)


@pytest.mark.parametrize(
    ("arch", "channels"),
    [
        ("dfine_n", [512, 1024]),
        ("dfine_s", [256, 512, 1024]),
        ("dfine_m", [384, 768, 1536]),
        ("dfine_l", [512, 1024, 2048]),
        ("dfine_x", [512, 1024, 2048]),
    ],
)
def test_hgnetv2_reports_the_channels_it_is_built_with(arch, channels):
    config = rtdetr_config(arch)
    backbone = config.backbone_config
    assert list(config.encoder_in_channels) == channels
    assert backbone.hidden_sizes == list(backbone.stage_out_channels)
    assert backbone.hidden_sizes[-len(channels) :] == channels
    assert backbone.embedding_size == backbone.stem_channels[-1]


def test_r18_has_the_published_size():
    model = RTDetrForObjectDetection(rtdetr_config("r18", num_labels=80))
    assert sum(p.numel() for p in model.parameters()) == 20_184_464


def test_backbone_fields_are_merged():
    config = rtdetr_config("r18", num_queries=7, backbone_config=dict(depths=[1, 1, 1, 1]))
    assert config.num_queries == 7
    assert config.backbone_config.depths == [1, 1, 1, 1]
    assert config.backbone_config.layer_type == "basic"


@pytest.mark.parametrize(
    ("arch", "overrides", "message"),
    [
        ("r19", {}, "unknown RT-DETR arch 'r19'.*r18"),
        ("r18", {"num_querys": 3}, "no field 'num_querys'.*num_queries"),
        ("r18", {"backbone_config": {"depth": [1]}}, "no field 'depth'.*depths"),
        ("rtdetrv2_r18", {"reg_scale": 3}, "RTDetrV2Config has no field 'reg_scale'"),
        ("dfine_s", {"decoder_n_levels": 3}, "DFineConfig has no field 'decoder_n_levels'"),
        ("dfine_s", {"backbone_config": {"layer_type": "basic"}}, "HGNetV2Config has no field"),
        ("deimv2_n", {"backbone_config": {"rope_theta": 9.0}}, "HGNetV2Config has no field"),
        ("deimv2_s", {"backbone_config": {"stem_channels": [3]}}, "DINOv3ViTConfig has no field"),
        ("rfdetr_nano", {"num_denoising": 3}, "RfDetrConfig has no field 'num_denoising'"),
        ("rfdetr_nano", {"backbone_config": {"depths": []}}, "RfDetrDinov2Config has no field"),
        ("lwdetr_tiny", {"backbone_config": {"depths": []}}, "LwDetrViTConfig has no field"),
        ("deimv2_s", {"decoder_n_levels": 3}, "Deimv2Config has no field 'decoder_n_levels'"),
    ],
)
def test_bad_names_are_refused(arch, overrides, message):
    with pytest.raises(ValueError, match=message):
        rtdetr_config(arch, **overrides)
