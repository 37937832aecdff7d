import pytest
from transformers import RTDetrForObjectDetection

from derain_plugin.models.rtdetr_config import rtdetr_config


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
    ],
)
def test_bad_names_are_refused(arch, overrides, message):
    with pytest.raises(ValueError, match=message):
        rtdetr_config(arch, **overrides)
