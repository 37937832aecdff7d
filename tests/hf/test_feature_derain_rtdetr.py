"""transformers' RT-DETR with a de-rain module: the same detector until the module is trained."""

import json

import pytest
import torch
from safetensors import safe_open
from tiny_rtdetr import (
    TINY,
    TINY_BACKBONE,
    data_samples,
    to_transformers_labels,
    transformers_twin,
)
from torch.optim import AdamW
from transformers import (
    AutoModelForObjectDetection,
    DetrConfig,
    DFineConfig,
    DFineForObjectDetection,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from derain_plugin import __version__, create_feature_derain_rtdetr
from derain_plugin.hf import FeatureDerainRTDetr, FeatureDerainRTDetrConfig
from derain_plugin.models import LightweightFeatureDerain, MultiScaleFeatureDerain

SIZE = (64, 96)
IMAGES = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
LABELS = to_transformers_labels(data_samples([3, 1], SIZE))
STAGES = dict(layer_type="basic", out_indices=[2, 3, 4])
TYPES = ["multiscale", "lightweight", None]
MOST_SLOW = ["multiscale", *(pytest.param(t, marks=pytest.mark.slow) for t in TYPES[1:])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What ``save_pretrained`` writes of a detector without de-rain module."""
    path = tmp_path_factory.mktemp("plain")
    reference = transformers_twin(num_classes=2, **TINY)
    reference.config.id2label = {0: "square", 1: "disc"}
    reference.save_pretrained(path)
    return path


def plain(folder):
    return RTDetrForObjectDetection.from_pretrained(folder)


def moved(model):
    """Open the gates: a fresh module is the identity, and hides what it does."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.derain_module.parameters() if model.derain_module else ():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def detect(model):
    with torch.no_grad():
        return model(IMAGES)


def assert_same_outputs(outputs, expected):
    assert type(outputs) is type(expected)
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(outputs[name], value), name


@pytest.mark.parametrize("derain_type", TYPES)
def test_a_fresh_model_detects_bitwise_what_the_detector_does(derain_type, folder):
    model = create_feature_derain_rtdetr(str(folder), derain_type)
    assert not model.training
    assert_same_outputs(detect(model), detect(plain(folder)))
    with torch.no_grad():
        states = model(IMAGES, output_hidden_states=True)
        expected = plain(folder)(IMAGES, output_hidden_states=True)
    for name in ("encoder_hidden_states", "decoder_hidden_states"):
        assert len(states[name]) == len(expected[name]) > 0


@pytest.mark.parametrize("derain_type", MOST_SLOW)
def test_a_fresh_model_has_bitwise_the_losses_of_the_detector(derain_type, folder):
    model, reference = create_feature_derain_rtdetr(str(folder), derain_type).train(), plain(folder)
    torch.manual_seed(7)  # denoising draws
    outputs = model(IMAGES, labels=LABELS)
    torch.manual_seed(7)
    expected = reference.train()(IMAGES, labels=LABELS)
    assert torch.equal(outputs.loss, expected.loss)
    assert outputs.loss_dict == expected.loss_dict
    assert any("_dn_" in name for name in outputs.loss_dict)


@pytest.mark.parametrize(
    ("kind", "config_class"),
    [(RTDetrV2ForObjectDetection, RTDetrV2Config), (DFineForObjectDetection, DFineConfig)],
)
def test_others_of_the_family(kind, config_class, tmp_path):
    settings = dict(TINY, backbone_config=RTDetrResNetConfig(**TINY_BACKBONE, **STAGES))
    torch.manual_seed(0)
    reference = kind(
        config_class(num_labels=2, freeze_backbone_batch_norms=False, **settings)
    ).eval()
    reference.save_pretrained(tmp_path / "plain")
    model = create_feature_derain_rtdetr(str(tmp_path / "plain"))
    assert_same_outputs(detect(model), detect(reference))
    torch.manual_seed(7)
    loss = model.train()(IMAGES, labels=LABELS).loss
    torch.manual_seed(7)
    assert torch.equal(loss, reference.train()(IMAGES, labels=LABELS).loss)
    moved(model).eval().save_pretrained(tmp_path / "saved")
    assert_same_outputs(
        detect(FeatureDerainRTDetr.from_pretrained(tmp_path / "saved")), detect(model)
    )


@pytest.mark.parametrize(
    ("derain_type", "kind", "blocks"),
    [
        ("multiscale", MultiScaleFeatureDerain, 3),
        ("multiscale", MultiScaleFeatureDerain, 0),
        ("lightweight", LightweightFeatureDerain, 0),
    ],
)
def test_the_module_is_the_neck_of_the_configs(derain_type, kind, blocks, folder):
    model = create_feature_derain_rtdetr(str(folder), derain_type, num_residual_blocks=blocks)
    assert type(model.derain_module) is kind
    assert model.derain_module.in_channels == (16, 24, 32)
    refiners = [
        len(block.refine) for block in model.derain_module.blocks if hasattr(block, "refine")
    ]
    assert refiners == ([blocks] * 3 if derain_type == "multiscale" else [])
    assert not torch.equal(detect(moved(model)).logits, detect(plain(folder)).logits)


@pytest.mark.parametrize("derain_type", ["multiscale", "lightweight"])
def test_every_parameter_learns_and_belongs_to_one_part(derain_type, folder):
    model = moved(create_feature_derain_rtdetr(str(folder), derain_type)).train()
    parts = [model.derain_module, model.rtdetr]
    AdamW([dict(params=part.parameters(), lr=1e-4) for part in parts])  # refuses shared ones
    assert sum(len(list(part.parameters())) for part in parts) == len(list(model.parameters()))
    model(IMAGES, labels=LABELS).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert all(parameter.grad.any() for parameter in model.derain_module.parameters())


def test_training_the_module_alone_moves_nothing_else(folder):
    model = create_feature_derain_rtdetr(str(folder))
    model.rtdetr.requires_grad_(False)
    before = detect(model)  # after freezing, which alone changes the kernel on some processors
    optimizer = AdamW(model.derain_module.parameters(), lr=5e-4)
    for _ in range(2):  # the first step opens the gates
        model(IMAGES, labels=LABELS).loss.backward()
        optimizer.step()
    assert not torch.equal(detect(model).logits, before.logits)
    model.derain_module = None
    assert torch.equal(detect(model).logits, before.logits)


@pytest.mark.parametrize("saved", [False, True], ids=["created", "from_pretrained"])
def test_a_frozen_backbone_stays_as_it_is(saved, folder, tmp_path):
    model = create_feature_derain_rtdetr(str(folder), freeze_backbone=True)
    if saved:
        model.save_pretrained(tmp_path)
        model = FeatureDerainRTDetr.from_pretrained(tmp_path)
    model.train()
    backbone = model.rtdetr.model.backbone
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    model(IMAGES, labels=LABELS).loss.backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.parameters())
    assert model.derain_module.blocks[0].expand.weight.any()  # its gate has opened


def test_a_backbone_trains_unless_told_otherwise(folder):
    model = create_feature_derain_rtdetr(str(folder)).train()
    backbone = model.rtdetr.model.backbone
    statistics = [value for name, value in backbone.state_dict().items() if "running_" in name]
    before = [value.clone() for value in statistics]
    model(IMAGES, labels=LABELS).loss.backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    assert not any(map(torch.equal, statistics, before))


@pytest.mark.parametrize("derain_type", MOST_SLOW)
def test_torch_save_keeps_every_bit(derain_type, folder, tmp_path):
    model = moved(create_feature_derain_rtdetr(str(folder), derain_type))
    torch.save(model, tmp_path / "model.pt")
    assert_same_outputs(
        detect(torch.load(tmp_path / "model.pt", weights_only=False)), detect(model)
    )
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = create_feature_derain_rtdetr(str(folder), derain_type)
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    assert_same_outputs(detect(other), detect(model))


@pytest.mark.parametrize("derain_type", MOST_SLOW)
@pytest.mark.parametrize("kind", [FeatureDerainRTDetr, AutoModelForObjectDetection])
def test_save_pretrained_keeps_every_bit(kind, derain_type, folder, tmp_path):
    model = moved(create_feature_derain_rtdetr(str(folder), derain_type, num_residual_blocks=1))
    model.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert type(loaded) is FeatureDerainRTDetr
    assert_same_outputs(detect(loaded), detect(model))
    state, expected = loaded.state_dict(), model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert loaded.config.to_diff_dict() == model.config.to_diff_dict()


def test_what_a_saved_folder_holds(folder, tmp_path):
    create_feature_derain_rtdetr(str(folder), num_residual_blocks=1).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "feature_derain_rt_detr"
    assert config["plugin_version"] == __version__
    assert config["derain"] == dict(
        type="MultiScaleFeatureDerain", num_residual_blocks=1, in_channels=[16, 24, 32]
    )
    assert config["id2label"] == {"0": "square", "1": "disc"}
    assert not {"id2label", "label2id"} & config["rtdetr_config"].keys()
    assert str(folder) not in (tmp_path / "config.json").read_text()
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        parts = {name.split(".")[0] for name in weights.keys()}  # noqa: SIM118  not a dict
    assert parts == {"derain_module", "rtdetr"}


def test_class_names_can_be_changed(folder, tmp_path):
    model = create_feature_derain_rtdetr(str(folder))
    model.config.id2label = {0: "car", 1: "person"}
    model.save_pretrained(tmp_path)
    config = FeatureDerainRTDetrConfig.from_pretrained(tmp_path)
    assert config.id2label == config.rtdetr_config.id2label == {0: "car", 1: "person"}


def test_attention_is_chosen_as_in_transformers(folder, tmp_path):
    create_feature_derain_rtdetr(str(folder)).save_pretrained(tmp_path)
    for chosen in (dict(attn_implementation="eager"), {}):
        model = FeatureDerainRTDetr.from_pretrained(tmp_path, **chosen)
        expected = RTDetrForObjectDetection.from_pretrained(folder, **chosen)
        assert_same_outputs(detect(model), detect(expected))
        assert (
            model.rtdetr.config._attn_implementation
            == expected.config._attn_implementation
            == chosen.get("attn_implementation", "sdpa")
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(derain_type="multi"), "derain_type must be 'multiscale', 'lightweight' or None"),
        (dict(num_residual_blocks=-1), "num_residual_blocks must be 0 or more, got -1"),
        (dict(num_residual_blocks="2"), "num_residual_blocks must be 0 or more, got '2'"),
    ],
)
def test_options_that_cannot_be_used_are_named(options, message, folder):
    with pytest.raises(ValueError, match=message):
        create_feature_derain_rtdetr(str(folder), **options)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent is no folder written by save_pretrained"):
        create_feature_derain_rtdetr(str(tmp_path / "absent"))


def test_other_models_are_refused(folder, tmp_path):
    DetrConfig(backbone_config=RTDetrResNetConfig()).save_pretrained(tmp_path / "detr")
    with pytest.raises(ValueError, match="holds a 'detr' model, but needed is 'rt_detr'"):
        create_feature_derain_rtdetr(str(tmp_path / "detr"))
    with pytest.raises(ValueError, match="'rt_detr' model without de-rain module"):
        FeatureDerainRTDetr.from_pretrained(folder)
    with pytest.raises(ValueError, match="is that of a 'detr' model; it must be one of 'rt_detr'"):
        FeatureDerainRTDetrConfig(dict(model_type="detr"))


def test_missing_weights_are_refused(folder, tmp_path):
    model = create_feature_derain_rtdetr(str(folder))
    state = model.state_dict()
    del state["derain_module.blocks.0.blend"]
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"missing \['derain_module.blocks.0.blend'\]"):
        FeatureDerainRTDetr.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("derain", "message"),
    [
        (dict(type="os.system", command="true"), "type must be one of .*, got 'os.system'"),
        (dict(in_channels=[16, 24, 32]), "type must be one of .*, got None"),
        (
            dict(type="LightweightFeatureDerain", in_channels=[8, 8, 8]),
            r"in_channels is \[8, 8, 8\], but the backbone gives channels \[16, 24, 32\]",
        ),
    ],
)
def test_a_config_names_one_of_our_necks_and_nothing_else(derain, message, folder):
    config = FeatureDerainRTDetrConfig(RTDetrConfig.from_pretrained(folder), derain)
    with pytest.raises(ValueError, match=message):
        FeatureDerainRTDetr(config)
