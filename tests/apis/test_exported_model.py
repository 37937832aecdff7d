import json
import sys

import numpy as np
import pytest
from mmengine.config import Config

from derain_plugin.apis.exported_model import (
    ExportedModel,
    Metadata,
    config_hash,
    is_exported,
    load_exported,
)

METADATA = Metadata(
    classes=("a", "b"), palette=[(1, 2, 3), (4, 5, 6)], input_size=(8, 16), batch=2,
    precision="fp32", derain=None, config="a.py", config_hash="0", checkpoint=None,
    plugin_version="0",
)  # fmt: skip


class Recorder(ExportedModel):
    """Answers with what it was given, and keeps the size of each batch."""

    def __init__(self, batch):
        super().__init__(Metadata(**{**vars(METADATA), "batch": batch}), library="none")
        self.batches = []

    def _run(self, images, original_sizes):
        self.batches.append(len(images))
        return images[:, :1, 0, 0], original_sizes, images[:, :1, 0, 1]


@pytest.mark.parametrize(("batch", "batches"), [(2, [2, 2, 2]), (1, [1] * 5), (None, [5])])
def test_a_fixed_batch_takes_images_in_portions(batch, batches):
    model = Recorder(batch)
    images = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(3, 1)
    images = np.broadcast_to(images, (5, 3, 8, 16))
    sizes = np.arange(10).reshape(5, 2)
    first, given, last = model(images, sizes)
    assert model.batches == batches
    np.testing.assert_array_equal(first[:, 0], range(5))
    np.testing.assert_array_equal(last[:, 0], range(5))
    np.testing.assert_array_equal(given, sizes)
    assert given.dtype == np.int64


def test_images_of_another_size():
    with pytest.raises(ValueError, match=r"8 x 16 px .height x width., got 16 x 8"):
        Recorder(None)(np.zeros((1, 3, 16, 8), np.uint8), np.ones((1, 2)))


def test_metadata_comes_back():
    assert Metadata.from_json(METADATA.to_json(), source="") == METADATA
    named = Metadata(**{**vars(METADATA), "palette": "random"})
    assert Metadata.from_json(named.to_json(), source="") == named


@pytest.mark.parametrize("text", [None, "", "no json", "[]", "{}", json.dumps({"classes": ["a"]})])
def test_files_of_others(text):
    with pytest.raises(ValueError, match=r"x.onnx has no metadata of derain_plugin"):
        Metadata.from_json(text, source="x.onnx")


def test_the_hash_is_of_values():
    first = Config(dict(a=1, b=dict(c=(1, 2), d="x")))
    assert config_hash(first) == config_hash(Config(dict(b=dict(d="x", c=(1, 2)), a=1)))
    assert config_hash(first) != config_hash(Config(dict(a=1, b=dict(c=(1, 3), d="x"))))


@pytest.mark.parametrize("name", ["a.onnx", "a.xml"])
def test_files_that_cannot_be_loaded(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match=name):
        load_exported(path)
    path.write_text("nothing of the kind")
    if name == "a.xml":
        with pytest.raises(FileNotFoundError, match=r"a.bin"):
            load_exported(path)
        path.with_suffix(".bin").touch()
    with pytest.raises(ValueError, match=rf"{name} is no .*file that"):
        load_exported(path)


@pytest.mark.parametrize(("suffix", "library"), [(".onnx", "onnxruntime"), (".xml", "openvino")])
def test_a_missing_library_is_named(tmp_path, monkeypatch, suffix, library):
    for name in ("a" + suffix, "a.bin"):
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'derain_plugin\[export\]'"):
        load_exported(tmp_path / f"a{suffix}")


def test_names():
    assert is_exported("a/b.onnx")
    assert is_exported("b.XML")
    assert not is_exported("b.pth")
    assert not is_exported("hf://a/b")
    with pytest.raises(ValueError, match=r"b.pth is no exported file by its name"):
        load_exported("b.pth")
