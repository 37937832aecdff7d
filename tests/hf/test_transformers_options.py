"""Options of transformers do to our model what they do to its detector alone."""

import copy
import json
import pickle
from functools import cache

import pytest
import torch
from tiny_rtdetr import TINY, TINY_BACKBONE
from transformers import (
    AutoConfig,
    AutoModelForObjectDetection,
    Deimv2Config,
    Deimv2ForObjectDetection,
    DFineConfig,
    DFineForObjectDetection,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from derain_plugin import create_feature_derain_rtdetr
from derain_plugin.hf import FeatureDerainRTDetr, FeatureDerainRTDetrConfig

IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
STAGES = dict(layer_type="basic", out_indices=[2, 3, 4])
FAMILY = {
    "rt_detr": (RTDetrForObjectDetection, RTDetrConfig),
    "rt_detr_v2": (RTDetrV2ForObjectDetection, RTDetrV2Config),
    "d_fine": (DFineForObjectDetection, DFineConfig),
    "deimv2": (Deimv2ForObjectDetection, Deimv2Config),
}
NAMES = {0: "cat", 1: "dog"}
MORE = {0: "cat", 1: "dog", 2: "owl"}
ANEW = dict(ignore_mismatched_sizes=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By ``model_type``, a folder of a detector and one of it with a de-rain module."""
    root = tmp_path_factory.mktemp("family")
    for name, (kind, config_class) in FAMILY.items():
        settings = dict(TINY, backbone_config=RTDetrResNetConfig(**TINY_BACKBONE, **STAGES))
        torch.manual_seed(0)
        config = config_class(freeze_backbone_batch_norms=False, **settings)
        config.id2label, config.label2id = {0: "square", 1: "disc"}, {"square": 0, "disc": 1}
        kind(config).eval().save_pretrained(root / name)
        create_feature_derain_rtdetr(str(root / name)).save_pretrained(root / f"{name}_derained")
    return root


def own(root, name, **options):
    return FeatureDerainRTDetr.from_pretrained(root / f"{name}_derained", **options)


def created(root, name, **options):
    return create_feature_derain_rtdetr(str(root / name), **options)


def plain(root, name, **options):
    return FAMILY[name][0].from_pretrained(root / name, **options)


@cache
def expected(root, name, options):
    """What the detector alone shows with the same options."""
    torch.manual_seed(5)  # draws the weights that start anew
    return seen(plain(root, name, **dict(options)))


def seen(model):
    """Return what a user sees of a model."""
    with torch.no_grad():
        outputs = model(IMAGES.to(model.dtype))
    config = model.config
    assert getattr(model, "rtdetr", model).config.id2label == config.id2label
    return dict(
        classes=(config.id2label, config.label2id, config.num_labels),
        settings=(config.num_queries, config.output_hidden_states, config.output_attentions),
        dtypes={parameter.dtype for parameter in model.parameters()},
        hidden_states=len(outputs.encoder_hidden_states or ()),
        logits=outputs.logits.tolist(),
    )


@pytest.mark.parametrize("load", [own, created])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rt_detr", dict(id2label=NAMES, label2id={"cat": 0, "dog": 1})),
        ("rt_detr", dict(id2label=MORE, **ANEW)),
        ("rt_detr_v2", dict(id2label=MORE, **ANEW)),
        ("d_fine", dict(id2label=MORE, **ANEW)),
        ("deimv2", dict(id2label=MORE, **ANEW)),
        ("deimv2", dict(output_hidden_states=True, attn_implementation="eager")),
        ("rt_detr", dict(num_labels=1, **ANEW)),
        ("rt_detr", dict(num_labels=3, id2label=MORE, **ANEW)),
        ("rt_detr", dict(num_queries=7, decoder_layers=1)),
        ("rt_detr", dict(dtype="bfloat16", output_hidden_states=True)),
        ("rt_detr", dict(output_attentions=True, attn_implementation="eager")),
    ],
    ids=str,
)
def test_options_do_what_they_do_to_the_detector(name, options, load, folders, tmp_path):
    torch.manual_seed(5)
    model = load(folders, name, **options)
    found = seen(model)
    assert found == expected(folders, name, Options(options))
    model.save_pretrained(tmp_path)
    attention = {key: options[key] for key in ["attn_implementation"] if key in options}
    assert seen(AutoModelForObjectDetection.from_pretrained(tmp_path, **attention)) == found


class Options(dict):
    """A dict that a cache can keep."""

    def __hash__(self):
        return hash(repr(self))


@pytest.mark.parametrize("load", [own, created, plain])
@pytest.mark.parametrize("options", [dict(id2label=MORE), dict(num_labels=3)], ids=str)
def test_other_class_layers_have_to_be_asked_for(options, load, folders):
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        load(folders, "rt_detr", **options)


@pytest.mark.parametrize("load", [own, plain])
@pytest.mark.parametrize(
    "settings", [dict(id2label=MORE), dict(num_labels=3), dict(num_queries=7)], ids=str
)
def test_settings_can_be_set_in_a_config(settings, load, folders):
    kind = FeatureDerainRTDetrConfig if load is own else RTDetrConfig
    name = "rt_detr_derained" if load is own else "rt_detr"
    config = kind.from_pretrained(folders / name)
    for setting, value in settings.items():
        setattr(config, setting, value)
    model = load(folders, "rt_detr", config=config, **ANEW)
    classes = 2 if "num_queries" in settings else 3
    assert model.config.num_labels == classes
    with torch.no_grad():
        assert model(IMAGES).logits.shape == (2, settings.get("num_queries", 30), classes)


def test_there_is_one_value(folders):
    model = created(folders, "rt_detr")
    model.config.num_labels = 4
    assert (
        model.rtdetr.config.id2label
        == model.config.id2label
        == {index: f"LABEL_{index}" for index in range(4)}
    )
    model.rtdetr.config.id2label = NAMES
    assert model.config.id2label == NAMES
    model.config.num_denoising = 3
    assert model.rtdetr.config.num_denoising == 3
    assert not hasattr(model.config, "num_querys")
    with pytest.raises(TypeError, match="num_querys"):
        own(folders, "rt_detr", num_querys=7)


def test_the_detectors_config_can_be_overridden_as_a_whole(folders):
    settings = dict(num_queries=7, id2label=MORE)
    model = own(folders, "rt_detr", rtdetr_config=settings, **ANEW)
    assert model.config.id2label == MORE
    with torch.no_grad():
        assert model(IMAGES).logits.shape == (2, 7, 3)


def test_auto_config_takes_what_the_detectors_does(folders):
    options = dict(num_labels=3, num_queries=5, other=3, return_unused_kwargs=True)
    config, rest = AutoConfig.from_pretrained(folders / "rt_detr_derained", **options)
    assert (config.num_labels, config.num_queries, rest) == (3, 5, dict(other=3))


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda config: pickle.loads(pickle.dumps(config)),
        lambda config: FeatureDerainRTDetrConfig.from_dict(config.to_dict()),
        lambda config: FeatureDerainRTDetrConfig(**json.loads(config.to_json_string())),
    ],
)
def test_a_config_can_be_copied(copied, folders):
    config = FeatureDerainRTDetrConfig.from_pretrained(folders / "rt_detr_derained")
    other = copied(config)
    assert other.to_dict() == config.to_dict()
    other.id2label = NAMES
    assert config.id2label == {0: "square", 1: "disc"}


@pytest.mark.parametrize("name", FAMILY)
def test_a_model_can_be_built_from_the_config_of_another(name, folders):
    model = create_feature_derain_rtdetr(str(folders / name))
    twin = FeatureDerainRTDetr(model.config)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.eval()(IMAGES).logits, model(IMAGES).logits)


def test_a_folder_with_both_copies_still_loads(folders, tmp_path):
    """Such folders were written before; the outer names counted."""
    own(folders, "rt_detr").save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["rtdetr_config"]["id2label"] = {"0": "other", "1": "names"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    model = FeatureDerainRTDetr.from_pretrained(tmp_path)
    assert model.config.id2label == model.rtdetr.config.id2label == {0: "square", 1: "disc"}


def test_a_detector_in_half_precision_gets_a_module_in_it(folders, tmp_path):
    plain(folders, "rt_detr").to(torch.bfloat16).save_pretrained(tmp_path)
    model = create_feature_derain_rtdetr(str(tmp_path))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model(IMAGES.bfloat16()).logits.dtype == torch.bfloat16


def test_a_de_rain_module_does_not_start_anew(folders):
    derain = dict(type="MultiScaleFeatureDerain", in_channels=[16, 24, 32], reduction=2)
    with pytest.raises(ValueError, match=r"other shapes \['derain_module.blocks"):
        own(folders, "rt_detr", derain=derain, **ANEW)


def test_names_reach_the_pipeline(folders):
    from PIL import Image
    from transformers import RTDetrImageProcessor, pipeline

    processor = RTDetrImageProcessor(size=dict(height=64, width=96))
    detect = pipeline(
        "object-detection",
        model=own(folders, "rt_detr", id2label=NAMES),
        image_processor=processor,
        threshold=0.0,
    )
    assert {box["label"] for box in detect(Image.new("RGB", (96, 64)))} <= {"cat", "dog"}
