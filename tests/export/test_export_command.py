"""``tools/export.py``, without writing: that is in test_exported_files.py."""

import sys

import cv2
import numpy as np
import pytest

from derain_plugin.cli import export as export_cli
from derain_plugin.cli import infer as infer_cli
from derain_plugin.export.calibration_images import SHIPPED, read_images, spread
from derain_plugin.export.export_detector import Export
from projects.benchmark.cli.benchmark import parse_args as benchmark_args


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "onnx", "--out", "a.xml"], "--out must end in .onnx for --format onnx"),
        (["--format", "openvino", "--out", "a.onnx"], "--out must end in .xml"),
        (["--format", "onnx", "--out", "a.onnx", "--precision", "bf16"], "with --format openvino"),
        (["--format", "onnx", "--out", "a.onnx", "--batch", "0"], "a number from 1, or dynamic"),
        (["--out", "a.onnx"], "required: --format"),
    ],
)
def test_refuses_bad_options(capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        export_cli.parse_args(["config.py", "a.pth", *options])
    assert message in capsys.readouterr().err


def test_batches():
    options = ["config.py", "--format", "onnx", "--out", "a.onnx"]
    args = export_cli.parse_args([*options, "--batch", "dynamic"])
    assert (args.batch, args.checkpoint) == (None, None)
    assert export_cli.parse_args([*options, "--batch", "8"]).batch == 8


@pytest.mark.parametrize("name", ["a.xml", "a.bin"])
def test_nothing_is_overwritten_unasked(tmp_path, name):
    (tmp_path / name).write_text("precious")
    options = ["--format", "openvino", "--out", str(tmp_path / "a.xml")]
    with pytest.raises(SystemExit, match=rf"{name} exists: .* --overwrite"):
        export_cli.main(["missing.py", *options])


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    options = ["--format", "onnx", "--out", str(tmp_path / "a.onnx")]
    with pytest.raises(SystemExit, match=r"missing\.py"):
        export_cli.main(["missing.py", *options])
    monkeypatch.setitem(sys.modules, "derain_plugin.export.export_detector", None)
    with pytest.raises(SystemExit, match=r"pip install 'derain_plugin\[export\]'"):
        export_cli.main(["missing.py", *options])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(format="tensorrt"), "format must be one of onnx, openvino, got 'tensorrt'"),
        (dict(format="onnx", precision="int8"), "one of fp32, fp16 for onnx, got 'int8'"),
        (dict(format="onnx", batch=0), "batch must be at least 1, got 0"),
    ],
)
def test_exports_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Export(**settings)


def test_images_of_a_folder_of_the_data_or_shipped(tmp_path, coco_root):
    folder = coco_root / "val2017"
    dataset = dict(data_root=str(coco_root), data_prefix=dict(img="val2017/"))
    for found in (
        read_images(folder, {}, count=3),
        read_images(None, dataset, count=3),
    ):
        assert list(found) == ["000000000001.jpg", "000000000004.jpg", "000000000007.jpg"]
        expected = cv2.imread(str(folder / "000000000004.jpg"))
        np.testing.assert_array_equal(found["000000000004.jpg"], expected)
    missing = dict(data_prefix=dict(img=str(tmp_path / "missing")))
    shipped = read_images(None, missing, count=3)
    assert tuple(shipped) == SHIPPED
    assert all(image.shape[2] == 3 for image in shipped.values())
    with pytest.raises(ValueError, match="holds no image"):
        read_images(tmp_path, {}, count=3)


def test_spread():
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "models", "inputs"),
    [
        (["c.py", "a.pth", "x.jpg"], [["c.py", "a.pth"]], ["x.jpg"]),
        (["m.onnx", "x.jpg", "y"], [["m.onnx"]], ["x.jpg", "y"]),
        (["m.xml", "x", "--compare", "c.py", "b.pth"], [["m.xml"], ["c.py", "b.pth"]], ["x"]),
        (["c.py", "a", "--compare", "m.xml", "x"], [["c.py", "a"], ["m.xml"]], ["x"]),
        (["c.py", "a", "--compare", "d.py", "b", "x"], [["c.py", "a"], ["d.py", "b"]], ["x"]),
    ],
)
def test_models_and_inputs_of_infer(words, models, inputs):
    args = infer_cli.parse_args([*words, "--out-dir", "o", "--device", "cpu"])
    assert (args.models, args.inputs) == (models, inputs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["c.py", "a.pth"], "name images, videos, folders or globs"),
        (["m.xml"], "required: "),
        (["c.py", "a.pth", "x", "--compare", "c.py"], "--compare needs a config and its"),
    ],
)
def test_infer_lacks_something(capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        infer_cli.parse_args([*words, "--out-dir", "o", "--device", "cpu"])
    assert message in capsys.readouterr().err


def test_benchmark_does_not_train_files(capsys):
    for words in (["a.onnx"], ["--transformers"]):
        with pytest.raises(SystemExit, match="2"):
            benchmark_args(["--train", *words])
        assert "--train takes configs alone" in capsys.readouterr().err
