"""An mmdet detector and the transformers model made of it detect the same, both ways."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from tiny_rtdetr import GROUPED, TINY, TINY_OF, build, our_copy, tiny_rtdetr_cfg, transformers_twin
from transformers import AutoModelForObjectDetection, RTDetrForObjectDetection

from derain_plugin.hf import FeatureDerainRTDetr, create_feature_derain_rtdetr
from derain_plugin.hf.to_transformers import (
    image_size_of,
    normalisation_of,
    to_transformers,
    write_hf_folder,
)

pytestmark = pytest.mark.usefixtures("installed")
SIZE = (96, 96)
CLASSES = ("square", "disc")
IMAGES = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
NECKS = ["MultiScaleFeatureDerain", "LightweightFeatureDerain", "PlainFeatureRefine", None]


def derained(cfg, kind="MultiScaleFeatureDerain", **options):
    derain = dict(type=kind, in_channels=(16, 24, 32), **options)
    return dict(cfg, neck=dict(type="DerainNeck", derain=derain, neck=cfg["neck"]))


def detector_of(cfg):
    """As ``Detector`` leaves it, random weights and open gates."""
    cfg = Config(dict(model=cfg))
    torch.manual_seed(0)
    detector = build(cfg.model).eval()
    with torch.no_grad():
        for name, value in detector.named_parameters():
            value.add_(torch.randn_like(value) * (0.1 if "derain" in name else 0.02))
    detector.cfg = cfg
    return detector


def assert_detect_alike(detector, model):
    with torch.no_grad():
        logits, boxes = detector.eval()(IMAGES, mode="tensor")
        outputs = model.eval()(IMAGES)
    torch.testing.assert_close(outputs.logits, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.pred_boxes, boxes, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", NECKS)
def test_out_and_back(kind, tmp_path):
    cfg = derained(tiny_rtdetr_cfg(), kind) if kind else tiny_rtdetr_cfg()
    detector = detector_of(cfg)
    write_hf_folder(to_transformers(detector, CLASSES, SIZE), SIZE, tmp_path / "out")
    model = (FeatureDerainRTDetr if kind else RTDetrForObjectDetection).from_pretrained(
        tmp_path / "out"
    )
    assert_detect_alike(detector, model)
    assert model.config.id2label == {0: "square", 1: "disc"}

    other = build(cfg)
    checkpoint = load_checkpoint(other, f"hf://{tmp_path / 'out'}")
    assert_detect_alike(other, model)
    assert checkpoint["meta"]["dataset_meta"]["classes"] == CLASSES
    state = other.state_dict()
    assert all(torch.equal(state[name], value) for name, value in detector.state_dict().items())


@pytest.mark.parametrize("kind", ["MultiScaleFeatureDerain", None])
@pytest.mark.parametrize("arch", [each for each in (*TINY_OF, *GROUPED) if each != "r18"])
def test_later_generations_out_and_back(arch, kind, tmp_path):
    cfg = tiny_rtdetr_cfg(2, arch)
    if kind:
        cfg = derained(cfg, kind)
        cfg["neck"]["derain"]["in_channels"] = build(cfg["backbone"]).out_channels
    detector = detector_of(cfg)
    write_hf_folder(to_transformers(detector, CLASSES, SIZE), SIZE, tmp_path / "out")
    model = AutoModelForObjectDetection.from_pretrained(tmp_path / "out")
    assert_detect_alike(detector, model)
    other = build(cfg)
    load_checkpoint(other, f"hf://{tmp_path / 'out'}")
    assert_detect_alike(other, model)


@pytest.mark.parametrize("derain_type", ["multiscale", "lightweight", None])
def test_from_transformers_to_mmdet(derain_type, tmp_path):
    transformers_twin(num_classes=2, **TINY).save_pretrained(tmp_path / "plain")
    model = create_feature_derain_rtdetr(str(tmp_path / "plain"), derain_type)
    with torch.no_grad():
        for value in model.derain_module.parameters() if derain_type else ():
            value.add_(torch.randn_like(value) * 0.1)
    model.save_pretrained(tmp_path / "saved")
    kinds = dict(multiscale="MultiScaleFeatureDerain", lightweight="LightweightFeatureDerain")
    cfg = tiny_rtdetr_cfg()
    detector = build(derained(cfg, kinds[derain_type]) if derain_type else cfg)
    load_checkpoint(detector, f"hf://{tmp_path / 'saved'}")
    assert_detect_alike(detector, model)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (tiny_rtdetr_cfg(), "has, unlike the model"),
        (derained(tiny_rtdetr_cfg(), "LightweightFeatureDerain"), "does not fit"),
        (derained(tiny_rtdetr_cfg(), num_residual_blocks=3), r"misses .*refine.2"),
    ],
    ids=["no neck", "another neck", "another size"],
)
def test_a_folder_with_another_neck_is_refused(cfg, message, tmp_path):
    transformers_twin(num_classes=2, **TINY).save_pretrained(tmp_path / "plain")
    create_feature_derain_rtdetr(str(tmp_path / "plain")).save_pretrained(tmp_path / "saved")
    with pytest.raises(ValueError, match=message):
        load_checkpoint(build(cfg), f"hf://{tmp_path / 'saved'}")


def test_each_setting_is_that_of_the_part_that_uses_it():
    cfg = tiny_rtdetr_cfg()
    cfg["bbox_head"].update(num_queries=20, decoder_layers=1, weight_loss_giou=3.0)
    cfg["neck"].update(hidden_expansion=1.0, encoder_ffn_dim=48)
    cfg["backbone"].update(freeze_backbone_batch_norms=True, frozen_stages=1)
    cfg["test_cfg"] = dict(max_per_img=20)
    cfg = derained(cfg, num_residual_blocks=1, init_cfg=dict(type="Normal", layer="Conv2d"))
    model = to_transformers(detector_of(cfg), CLASSES, SIZE)
    config = model.config.rtdetr_config
    assert (config.num_queries, config.decoder_layers, config.weight_loss_giou) == (20, 1, 3.0)
    assert (config.hidden_expansion, config.encoder_ffn_dim) == (1.0, 48)
    assert config.freeze_backbone_batch_norms
    assert model.config.derain == dict(
        type="MultiScaleFeatureDerain", in_channels=(16, 24, 32), num_residual_blocks=1
    )


def change(**parts):
    cfg = tiny_rtdetr_cfg()
    for part, options in parts.items():
        cfg[part] = {**cfg[part], **options}
    return cfg


def filtered():
    cfg = tiny_rtdetr_cfg()
    in_front = dict(type="ImageFilter", std=[255.0])
    cfg["backbone"] = dict(type="FilteredBackbone", backbone=cfg["backbone"], image_filter=in_front)
    return cfg


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (change(neck=dict(layer_norm_eps=0.1)), "would detect something else"),
        (change(backbone=dict(arch="r50")), "settings of the detector's parts do not agree"),
        (change(backbone=dict(early_derain=dict(type="EarlyFeatureDerain"))), "early_derain"),
        (filtered(), "the filter in front of this backbone"),
        (change(data_preprocessor=dict(bgr_to_rgb=False)), "bgr_to_rgb=True.*False"),
        (
            change(
                data_preprocessor=dict(
                    type="PixelDerainDataPreprocessor", restorer=dict(type="SPDNet")
                )
            ),
            "go through SPDNet first",
        ),
    ],
    ids=["norm", "arch", "early blocks", "filter", "pixels", "restorer"],
)
def test_what_a_folder_cannot_hold_is_named(cfg, message):
    with pytest.raises(ValueError, match=message):
        to_transformers(detector_of(cfg), CLASSES, SIZE)


@pytest.mark.parametrize("normalised", [False, True])
def test_the_image_processor_does_to_pixels_what_the_config_does(normalised, tmp_path):
    from transformers import AutoImageProcessor

    cfg = tiny_rtdetr_cfg(arch="deimv2_s")
    if normalised:
        pixels = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
        cfg["data_preprocessor"].update(pixels)
    detector = detector_of(cfg)
    model = to_transformers(detector, CLASSES, SIZE)
    normalisation = normalisation_of(detector)
    write_hf_folder(model, SIZE, tmp_path / "out", normalisation=normalisation)
    image = torch.randint(256, (3, *SIZE), dtype=torch.uint8)
    ours = detector.data_preprocessor(dict(inputs=[image], data_samples=None))["inputs"]
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    theirs = processor(images=image.flip(0).permute(1, 2, 0).numpy(), return_tensors="pt")
    torch.testing.assert_close(theirs["pixel_values"], ours, atol=1e-5, rtol=0)


def test_another_detector_is_refused():
    with pytest.raises(ValueError, match="only an RTDETR can be exported, not Linear"):
        to_transformers(torch.nn.Linear(1, 1), CLASSES, SIZE)


def test_a_hub_model_survives_the_way_through_mmdet():
    reference = transformers_twin(num_classes=2, **TINY)
    detector = our_copy(reference, tiny_rtdetr_cfg()).eval()
    detector.cfg = Config(dict(model=tiny_rtdetr_cfg()))
    model = to_transformers(detector, CLASSES, SIZE)
    state = reference.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


LOAD = dict(type="LoadImageFromFile")


def test_image_size_is_that_of_the_pipeline():
    resize = dict(type="mmdet.Resize", scale=(96, 64), keep_ratio=False)
    assert image_size_of([LOAD, resize, dict(type="PackDetInputs")]) == (64, 96)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [dict(type="Resize", scale=(96, 64), keep_ratio=True)],
        [dict(type="Resize", scale_factor=0.5)],
        [dict(type="RandomResize", scale=(96, 64))],
        [dict(type="Resize", scale=(96, 64)), dict(type="Pad", size=(128, 128))],
    ],
    ids=["none", "ratio kept", "factor", "random", "padded"],
)
def test_images_that_transformers_would_prepare_otherwise(steps):
    with pytest.raises(ValueError, match="the test pipeline must resize with"):
        image_size_of([LOAD, *steps])


def test_a_stopped_export_leaves_nothing_under_its_name(tmp_path, monkeypatch):
    model = to_transformers(detector_of(tiny_rtdetr_cfg()), CLASSES, SIZE)
    with monkeypatch.context() as patch:
        patch.setattr(RTDetrForObjectDetection, "save_pretrained", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_hf_folder(model, SIZE, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out.partial" / "rest").write_text("of the first attempt")
    write_hf_folder(model, SIZE, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "rest").exists()
    with pytest.raises(FileExistsError, match="out exists"):
        write_hf_folder(model, SIZE, tmp_path / "out")
