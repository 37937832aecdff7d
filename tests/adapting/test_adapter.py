"""Adapter files: in, out, and for the right detector alone."""

import json

import cv2
import pytest
import torch
from small_detectors import frozen, model_of, prepare_for
from test_frozen_detector import shake
from tiny_rtdetr import our_copy, tiny_rtdetr_cfg, tiny_twin

from derain_plugin.adapting import load_adapter, remove_adapter, save_adapter
from derain_plugin.adapting.adapter import derain_of
from derain_plugin.adapting.adapter_file import CONFIG, WEIGHTS
from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.frozen_detector import default_derain, freeze

NAMES = ("yolox", "rtdetr", "transformers", "rfdetr", "lwdetr")


@pytest.fixture(scope="module", params=NAMES)
def adapted(request, tmp_path_factory):
    """Name, detector and the folder of its adapter."""
    detector = frozen(request.param)
    shake(detector.derain)
    folder = tmp_path_factory.mktemp(request.param)
    derain = default_derain(detector.model)
    save_adapter(detector, folder, base="some/detector", derain=derain, training=dict(photos=6))
    return request.param, detector, folder


def test_an_adapter_gives_the_adapted_detector_and_leaves_as_it_came(adapted, photos):
    name, detector, folder = adapted
    model = model_of(name)
    plain = hash_of(model.state_dict())
    loaded = load_adapter(model, folder)
    image = cv2.imread(str(photos[0]))
    again = freeze(loaded, prepare_for(name))
    expected, found = detector.detect(image), again.detect(image)
    assert torch.equal(found.scores, expected.scores)
    assert torch.equal(found.bboxes, expected.bboxes)
    removed = remove_adapter(loaded)
    assert removed is model
    assert hash_of(removed.state_dict()) == plain
    assert derain_of(removed) is None


def test_what_the_files_say(adapted):
    name, detector, folder = adapted
    config = json.loads((folder / CONFIG).read_text())
    assert config["base_model_name_or_path"] == "some/detector"
    assert config["derain"]["in_channels"] == list(detector.derain.in_channels)
    assert config["derain"].get("reduction", 4) == (8 if name in ("rfdetr", "lwdetr") else 4)
    assert config["training"] == {"photos": 6}
    assert sorted(path.name for path in folder.iterdir()) == [WEIGHTS, CONFIG]


def test_another_detector_is_refused_by_name(adapted):
    name, _, folder = adapted
    model = model_of(name, seed=1)
    with pytest.raises(ValueError, match=r"was trained for some/detector.*has other weights"):
        load_adapter(model, folder)
    assert derain_of(model) is None


def test_one_adapter_at_a_time(adapted):
    name, _, folder = adapted
    loaded = load_adapter(model_of(name), folder)
    with pytest.raises(ValueError, match="has a MultiScaleFeatureDerain already"):
        load_adapter(loaded, folder)
    with pytest.raises(ValueError, match="no de-rain neck that could be removed"):
        remove_adapter(remove_adapter(loaded))


@pytest.mark.parametrize("arch", ["r18", "deimv2_n", "rfdetr_nano", "lwdetr_large"])
def test_one_adapter_serves_both_libraries(arch, tmp_path):
    twin = tiny_twin(arch)
    ours = our_copy(twin, tiny_rtdetr_cfg(arch=arch)).eval()
    detector = freeze(ours, prepare_for("rtdetr"))
    shake(detector.derain)
    save_adapter(detector, tmp_path, base="ours", derain=default_derain(ours))
    loaded = load_adapter(twin.eval(), tmp_path)
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        logits, _ = ours(images, mode="tensor")
        torch.testing.assert_close(loaded(images).logits, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda f: (f / CONFIG).unlink(), FileNotFoundError, f"holds no {CONFIG}"),
        (lambda f: (f / WEIGHTS).unlink(), FileNotFoundError, f"no {WEIGHTS}: copy both"),
        (lambda f: (f / CONFIG).write_text("{"), ValueError, "is not json"),
        (lambda f: (f / CONFIG).write_text('{"adapter_type": "LORA"}'), ValueError, "LORA"),
        (lambda f: (f / WEIGHTS).write_bytes(b"cut off"), ValueError, "is damaged"),
        (
            lambda f: _edit(f, derain=dict(type="os.system")),
            ValueError,
            "derain.type must be one of",
        ),
        (
            lambda f: _edit(f, derain=dict(type="PlainFeatureRefine", in_channels=[16, 24, 32])),
            ValueError,
            "does not fit the PlainFeatureRefine",
        ),
    ],
)
def test_damaged_files_are_refused(change, error, match, tmp_path):
    detector = frozen("rtdetr")
    save_adapter(detector, tmp_path, base="x", derain=default_derain(detector.model))
    change(tmp_path)
    model = model_of("rtdetr")
    with pytest.raises(error, match=match):
        load_adapter(model, tmp_path)
    assert derain_of(model) is None


def _edit(folder, **values):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))
