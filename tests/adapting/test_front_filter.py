"""The filter of an adapter: for which images it is, and what it is put in front of."""

import cv2
import pytest
import torch
from mmengine.dataset import pseudo_collate
from small_detectors import model_of, prepare_for
from test_backbone_blocks import everything
from transformers import RTDetrImageProcessor

from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.front_filter import build_filter
from derain_plugin.adapting.frozen_detector import freeze
from derain_plugin.models import add_image_filter


def test_a_filter_of_its_own_is_the_detectors():
    model = model_of("yolox")
    add_image_filter(model.backbone, dict(type="ImageFilter"))
    with pytest.raises(ValueError, match="has an image filter, and cannot have another"):
        build_filter(model, None)
    before = everything(model)
    detector = freeze(model, prepare_for("yolox"))
    assert hash_of(detector.weights()) == before[-1]
    detector.take_out()
    assert everything(model)[:2] == before[:2]


@pytest.mark.parametrize("name", ["yolox", "rtmdet", "retinanet", "rtdetr", "transformers"])
def test_the_filter_knows_how_images_are_normalised(name, photos):
    model, prepare = model_of(name), prepare_for(name)
    detector = freeze(model, prepare, image_filter=build_filter(model, prepare))
    image = cv2.imread(str(photos[0]))
    images, _ = detector.preprocess(pseudo_collate([detector.prepare(image)]))
    settings = detector.image_filter.settings
    mean, std = (torch.tensor(settings[name])[:, None, None] for name in ("mean", "std"))
    levels = (images * std + mean) / 255
    assert 0 <= levels.min() < 0.3
    assert 0.7 < levels.max() <= 1


def test_a_processor_that_normalises_is_followed():
    processor = RTDetrImageProcessor(do_normalize=True, image_mean=[0.4] * 3, image_std=[0.2] * 3)
    settings = build_filter(model_of("transformers"), processor).settings
    assert settings["mean"] == pytest.approx([102.0] * 3)
    assert settings["std"] == pytest.approx([51.0] * 3)
