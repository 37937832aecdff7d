"""The configs of RT-DETRv2, D-FINE, DEIMv2 and RF-DETR: full size, random weights."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate

from derain_plugin import load_config
from derain_plugin.models.rtdetr.parts import NARROW

CONFIGS = Path(__file__).parents[2] / "configs"
CHANNELS = dict(
    rtdetrv2_r18=(128, 256, 512),
    dfine_s=(256, 512, 1024),
    deimv2_n=(512, 1024),  # strides 16 and 32
    deimv2_s=(192, 192, 192),
    rfdetr_nano=(384, 384, 384, 384),  # all of stride 16
)
ARCHS = pytest.mark.parametrize("arch", CHANNELS)


def config(arch, **options):
    return load_config(CONFIGS / f"{arch}_featderain_ms.py", options)


@ARCHS
def test_every_part_is_of_the_architecture(arch):
    model = config(arch).model
    parts = model.backbone, model.neck.neck, model.bbox_head
    assert [part.arch for part in parts] == [arch] * 3


@ARCHS
def test_the_neck_is_narrow_behind_a_vit(arch):
    derain = dict(config(arch).model.neck.derain)
    assert derain.pop("in_channels") == list(CHANNELS[arch])
    narrow = NARROW if arch in ("deimv2_s", "rfdetr_nano") else {}
    assert derain == dict(type="MultiScaleFeatureDerain", **narrow)


@ARCHS
def test_detects_with_the_shapes_of_its_parts(arch, coco_root):
    cfg = config(arch, data_root=str(coco_root), classes=("square", "disc"), image_size=320)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    images = DATASETS.build(cfg.val_dataloader.dataset.datasets[0])
    batch = model.data_preprocessor(pseudo_collate([images[0]]))
    with torch.no_grad():
        feats = model.backbone(batch["inputs"])
        cleaned = model.neck.derain(feats)
        logits, boxes = model(**batch, mode="tensor")
        (result,) = model(**batch, mode="predict")
    sides = (20,) * 4 if arch == "rfdetr_nano" else (40, 20, 10)[-len(CHANNELS[arch]) :]
    shapes = [(1, channels, s, s) for channels, s in zip(CHANNELS[arch], sides, strict=True)]
    assert [feat.shape for feat in feats] == [feat.shape for feat in cleaned] == shapes
    assert all(torch.equal(feat, clean) for feat, clean in zip(feats, cleaned, strict=True))
    assert logits.shape == (1, 300, 2)
    assert boxes.shape == (1, 300, 4)
    assert len(result.pred_instances) == 300


@ARCHS
def test_takes_a_training_step_on_a_folder_of_coco_format(arch, coco_root):
    options = dict(data_root=str(coco_root), classes=("square", "disc"), synthetic_rain=3)
    # One or two levels have to give 300 queries, whatever the size of a batch.
    size = dict(deimv2_n=256, rfdetr_nano=384).get(arch, 192)
    cfg = config(arch, image_size=size, **options)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    images = DATASETS.build(cfg.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([images[0], images[1]]), training=True)
    loss, shown = model.parse_losses(model(**batch, mode="loss"))
    loss.backward()
    assert loss.isfinite()
    assert ("loss_fgl_aux_0" in shown) == (arch not in ("rtdetrv2_r18", "rfdetr_nano"))
    assert ("loss_giou_enc" in shown) == (arch == "rfdetr_nano")
    assert any(p.grad.any() for p in model.neck.derain.parameters())


@pytest.mark.parametrize(
    ("arch", "mean"), [("deimv2_n", 0), ("deimv2_s", 0.485), ("rfdetr_nano", 0.485)]
)
def test_pixels_are_those_of_the_backbone(arch, mean):
    """As transformers' conversion script writes them into ``preprocessor_config.json``."""
    pixels = config(arch).model.data_preprocessor
    std = 0.229 if mean else 1
    assert pixels.mean[0] / 255 == pytest.approx(mean)
    assert pixels.std[0] / 255 == pytest.approx(std)
    assert pixels.bgr_to_rgb


def test_sizes_of_training_batches():
    assert config("rtdetrv2_r18").model.data_preprocessor.batch_augments is None
    (augment,) = config("dfine_s").model.data_preprocessor.batch_augments
    assert [augment.sizes.count(size) for size in (608, 640, 672)] == [1, 20, 1]


def test_rfdetr_is_as_large_as_it_was_trained():
    cfg = config("rfdetr_nano")
    (resize,) = (s for s in cfg.test_dataloader.dataset.datasets[0].pipeline if "scale" in s)
    assert resize.scale == (384, 384)
    (augment,) = cfg.model.data_preprocessor.batch_augments
    assert min(augment.sizes) == 288
    assert max(augment.sizes) == 480
