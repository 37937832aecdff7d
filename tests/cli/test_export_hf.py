"""From a config and a checkpoint to a folder that transformers uses."""

import json

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForObjectDetection,
    RTDetrForObjectDetection,
    pipeline,
)

from derain_plugin.apis import Detector
from derain_plugin.cli.export_hf import main
from derain_plugin.config import load_config
from derain_plugin.hf import FeatureDerainRTDetr


@pytest.fixture(scope="module")
def overrides(coco_root):
    return dict(data_root=str(coco_root), classes=("square", "disc"), image_size=64)


@pytest.fixture(scope="module")
def options(coco_root):
    return ["--cfg-options", f"data_root={coco_root}", "classes=square,disc", "image_size=64"]


@pytest.fixture(scope="module")
def checkpoint(config, overrides, tmp_path_factory):
    """As the runner saves it under EMAHook: the averages are the state dict."""
    model = MODELS.build(load_config(config, overrides).model)
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    averages = model.state_dict()
    latest = {f"module.{name}": value + 1 for name, value in averages.items()}
    path = tmp_path_factory.mktemp("checkpoint") / "epoch_2.pth"
    torch.save(dict(state_dict=averages, ema_state_dict=latest), path)
    return str(path)


@pytest.fixture(scope="module")
def folder(config, checkpoint, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("hub") / "new" / "derained"
    main([config, checkpoint, str(out), *options])
    return out


@pytest.fixture(scope="module")
def plain_folder(config, overrides, tmp_path_factory):
    """From a config and a checkpoint without a de-rain neck."""
    cfg = load_config(config, overrides)
    cfg.model.neck = cfg.model.neck.neck
    directory = tmp_path_factory.mktemp("plain")
    cfg.dump(directory / "plain.py")
    torch.save(MODELS.build(cfg.model).state_dict(), directory / "plain.pth")
    main([str(directory / name) for name in ("plain.py", "plain.pth", "out")])
    return directory / "out"


@pytest.fixture(scope="module")
def image():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_the_folder_detects_as_the_checkpoint_does(folder, config, checkpoint, overrides):
    model = AutoModelForObjectDetection.from_pretrained(folder)
    assert isinstance(model, FeatureDerainRTDetr)
    detector = Detector(config, checkpoint, device="cpu", cfg_options=overrides).model
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, boxes = detector(images, mode="tensor")
        outputs = model(images)
    torch.testing.assert_close(outputs.logits, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.pred_boxes, boxes, atol=1e-5, rtol=0)
    assert model.config.id2label == {0: "square", 1: "disc"}


def test_images_are_prepared_as_the_config_says(folder, image):
    written = json.loads((folder / "preprocessor_config.json").read_text())
    assert written["image_processor_type"] == "RTDetrImageProcessor"
    pixels = AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt").pixel_values
    assert pixels.shape == (1, 3, 64, 64)
    assert 0 <= pixels.min() < 0.3 < 0.7 < pixels.max() <= 1
    assert pixels.mean().item() == pytest.approx(np.asarray(image).mean() / 255, abs=0.01)


def test_it_is_a_checkpoint_of_the_same_config(folder, config, checkpoint, overrides):
    states = [
        Detector(config, source, device="cpu", cfg_options=overrides).model.state_dict()
        for source in (f"hf://{folder}", checkpoint)
    ]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_plain_folder_needs_no_plugin(plain_folder):
    model, report = RTDetrForObjectDetection.from_pretrained(plain_folder, output_loading_info=True)
    assert not any(report.values())
    assert model.config.id2label == {0: "square", 1: "disc"}
    assert "derain" not in (plain_folder / "config.json").read_text()


@pytest.mark.parametrize("which", ["plain_folder", "folder"])
def test_the_pipeline_of_transformers_runs(which, image, request):
    detect = pipeline("object-detection", model=str(request.getfixturevalue(which)), device="cpu")
    found = detect(image, threshold=0.0)
    assert len(found) == 30
    assert {detection["label"] for detection in found} <= {"square", "disc"}
    assert all(set(detection["box"]) == {"xmin", "ymin", "xmax", "ymax"} for detection in found)


def test_an_existing_folder_is_kept(config, checkpoint, tmp_path):
    with pytest.raises(SystemExit, match=r"exists. Remove it, or name another folder"):
        main([config, checkpoint, str(tmp_path)])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["model.neck.derain.num_residual_blocks=1"], "does not fit"),
        (
            ["model.backbone.early_derain.type=EarlyFeatureDerain"],
            "not made with the de-rain blocks inside this backbone",
        ),
    ],
)
def test_errors_end_without_a_folder(extra, message, config, checkpoint, options, tmp_path):
    with pytest.raises(SystemExit, match=message):
        main([config, checkpoint, str(tmp_path / "out"), *options, *extra])
    assert not list(tmp_path.iterdir())


def test_a_missing_checkpoint_is_named(config, options, tmp_path):
    with pytest.raises(SystemExit, match=r"nowhere.pth"):
        main([config, "nowhere.pth", str(tmp_path / "out"), *options])
