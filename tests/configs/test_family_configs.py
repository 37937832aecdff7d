"""The configs of RT-DETRv2 and D-FINE: full size, random weights."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate

from derain_plugin import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
CHANNELS = dict(rtdetrv2_r18=(128, 256, 512), dfine_s=(256, 512, 1024))
ARCHS = pytest.mark.parametrize("arch", CHANNELS)


def config(arch, **options):
    return load_config(CONFIGS / f"{arch}_featderain_ms.py", options)


@ARCHS
def test_every_part_is_of_the_architecture(arch):
    model = config(arch).model
    parts = model.backbone, model.neck.neck, model.bbox_head
    assert [part.arch for part in parts] == [arch] * 3


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
    shapes = [(1, channels, 40 >> i, 40 >> i) for i, channels in enumerate(CHANNELS[arch])]
    assert [feat.shape for feat in feats] == [feat.shape for feat in cleaned] == shapes
    assert all(torch.equal(feat, clean) for feat, clean in zip(feats, cleaned, strict=True))
    assert logits.shape == (1, 300, 2)
    assert boxes.shape == (1, 300, 4)
    assert len(result.pred_instances) == 300


@ARCHS
def test_takes_a_training_step_on_a_folder_of_coco_format(arch, coco_root):
    options = dict(data_root=str(coco_root), classes=("square", "disc"), synthetic_rain=3)
    cfg = config(arch, image_size=192, **options)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    images = DATASETS.build(cfg.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([images[0], images[1]]), training=True)
    loss, shown = model.parse_losses(model(**batch, mode="loss"))
    loss.backward()
    assert loss.isfinite()
    assert ("loss_fgl_aux_0" in shown) == (arch == "dfine_s")
    assert any(p.grad.any() for p in model.neck.derain.parameters())


def test_sizes_of_training_batches():
    assert config("rtdetrv2_r18").model.data_preprocessor.batch_augments is None
    (augment,) = config("dfine_s").model.data_preprocessor.batch_augments
    assert [augment.sizes.count(size) for size in (608, 640, 672)] == [1, 20, 1]
