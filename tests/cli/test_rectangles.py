"""``image_size=(width, height)`` from training to every other command."""

import json

import pytest
from transformers import RTDetrImageProcessor

from derain_plugin.apis.exported_model import load_exported
from derain_plugin.cli import export as export_cli
from derain_plugin.cli import export_hf as export_hf_cli
from derain_plugin.cli import infer as infer_cli
from derain_plugin.cli import test as test_cli
from derain_plugin.cli import train as train_cli
from derain_plugin.models.data_preprocessors import BatchRandomResize

WIDTH, HEIGHT = 128, 96


@pytest.fixture(scope="module")
def options(settings):
    sizes = "model.data_preprocessor.batch_augments.0.sizes=[(96,64),(160,96)]"
    return ["--cfg-options", *settings, f"image_size=({WIDTH},{HEIGHT})", sizes]


@pytest.fixture(scope="module")
def trained(config, weights, options, tmp_path_factory):
    folder, seen = tmp_path_factory.mktemp("work"), set()
    forward = BatchRandomResize.forward

    def remember(self, *args):
        result = forward(self, *args)
        seen.add(tuple(result[0].shape[-2:]))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchRandomResize, "forward", remember)
        train_cli.main([config, "--work-dir", str(folder), *options, f"load_from={weights}"])
    return str(folder / "epoch_2.pth"), seen


@pytest.mark.slow
def test_training_batches_are_rectangles(trained):
    assert trained[1] == {(64, 96), (96, 160)}


@pytest.mark.slow
def test_a_file_finds_what_the_model_finds(trained, config, options, coco_root, tmp_path):
    file = tmp_path / "a.onnx"
    photos = coco_root / "val2017"
    export = [config, trained[0], "--format", "onnx", "--out", str(file)]
    export_cli.main([*export, "--images", str(photos), *options])
    assert load_exported(file).metadata.input_size == (HEIGHT, WIDTH)
    work = ["--work-dir", str(tmp_path)]
    ours = test_cli.main([config, trained[0], *work, *options])
    theirs = test_cli.main([config, str(file), *work, *options])
    assert theirs["clean/coco/bbox_mAP"] == pytest.approx(ours["clean/coco/bbox_mAP"], abs=0.002)
    other = [*options, f"image_size=({HEIGHT},{WIDTH})"]
    with pytest.raises(
        SystemExit, match=rf"{WIDTH} x {HEIGHT} px .*image_size=\({WIDTH}, {HEIGHT}"
    ):
        test_cli.main([config, str(file), *work, *other])


@pytest.mark.slow
def test_detections_lie_in_the_original_image(trained, config, options, coco_root, tmp_path):
    photo = sorted((coco_root / "val2017").iterdir())[0]
    found = tmp_path / "found.json"
    arguments = [config, trained[0], str(photo), "--out-dir", str(tmp_path / "out")]
    infer_cli.main([*arguments, "--json", str(found), "--score-thr", "0", *options])
    content = json.loads(found.read_text())
    (image,) = content["images"]
    for annotation in content["annotations"]:
        x, y, w, h = annotation["bbox"]
        assert x + w <= image["width"] + 0.01
        assert y + h <= image["height"] + 0.01


@pytest.mark.slow
def test_transformers_gets_the_rectangle(trained, config, options, tmp_path):
    export_hf_cli.main([config, trained[0], str(tmp_path / "hf"), *options])
    processor = RTDetrImageProcessor.from_pretrained(tmp_path / "hf")
    assert dict(processor.size) == dict(height=HEIGHT, width=WIDTH)
