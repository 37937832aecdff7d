import numpy as np
import pytest
import torch
from tiny_rtdetr import TINY, transformers_twin

from derain_plugin.apis import DerainInferencer, Detector, derain_inferencer

TINY_TEXT = ", ".join(f"{key}={value!r}" for key, value in TINY.items())
CHILD = f"""
_base_ = "derain_plugin::rtdetr/rtdetr_r18_featderain_ms.py"
image_size = 64
classes = ("square", "disc")
model = dict(
    backbone=dict({TINY_TEXT}),
    neck=dict(derain=dict(in_channels=[16, 24, 32]), neck=dict({TINY_TEXT})),
    bbox_head=dict({TINY_TEXT}),
    test_cfg=dict(max_per_img=7),
)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("config") / "tiny.py"
    path.write_text(CHILD)
    return str(path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("weights")
    transformers_twin(num_classes=2, **TINY).save_pretrained(folder)
    return f"hf://{folder}"


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)


def assert_finds_the_same(inferencer, config, weights, image):
    (found,) = inferencer(image)["predictions"]
    expected = Detector(config, weights, device="cpu").detect(image)
    assert len(found["scores"]) == 7
    for name in ("bboxes", "scores", "labels"):
        assert torch.equal(torch.tensor(found[name]), expected[name])


def test_detects_with_a_config_of_several_test_conditions(config, weights, image):
    inferencer = DerainInferencer(config, weights, device="cpu", show_progress=False)
    assert_finds_the_same(inferencer, config, weights, image)


def test_finds_models_and_their_weights_by_name(config, weights, image, monkeypatch):
    known = {"tiny": (config, weights)}
    monkeypatch.setattr(derain_inferencer, "find_model", known.__getitem__)
    inferencer = DerainInferencer("tiny", device="cpu", show_progress=False)
    assert_finds_the_same(inferencer, config, weights, image)


@pytest.mark.parametrize("names", [{}, dict(id2label={0: "disc", 1: "square"})])
def test_other_classes_than_the_weights_are_refused(config, tmp_path, names):
    model = transformers_twin(num_classes=3 - len(names), **TINY)
    model.config.update(names)
    model.save_pretrained(tmp_path)
    expected = r"classes=disc,square" if names else "another number of classes"
    with pytest.raises(ValueError, match=expected):
        DerainInferencer(config, f"hf://{tmp_path}", device="cpu")


def test_names_and_overrides_of_the_config(config, weights):
    options = dict(classes=("disc", "square"))
    inferencer = DerainInferencer(config, weights, device="cpu", cfg_options=options)
    assert inferencer.model.dataset_meta["classes"] == ("disc", "square")


def test_weights_are_needed_where_none_are_published(config):
    for model in ("rtdetr_r18_featderain_ms", config):
        with pytest.raises(ValueError, match=r"no weights are published for .*: train it"):
            DerainInferencer(model)


@pytest.mark.parametrize(
    ("model", "error"), [("rtdetr", ValueError), ("missing.py", FileNotFoundError)]
)
def test_an_unknown_model_is_an_error(model, error):
    with pytest.raises(error, match=model):
        DerainInferencer(model, "weights.pth")
