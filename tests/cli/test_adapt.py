"""From a detector and clear photos to an adapter, and what takes it: by command lines."""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.apis import init_detector
from small_detectors import SIZE, model_of, prepare_for, write_photos

from derain_plugin.adapting import Length, load_adapter, progress, remove_adapter, training
from derain_plugin.adapting import adapt as adapt_in_python
from derain_plugin.adapting.adapter_file import CONFIG, WEIGHTS
from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.cli import adapt, export, infer
from derain_plugin.cli import test as test_cli
from derain_plugin.evaluation.saved_predictions import load_predictions
from derain_plugin.hf import FeatureDerainRTDetr
from derain_plugin.hf.pretrained import load_pretrained

YOLOX = f"""
_base_ = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
model = dict(
    backbone=dict(widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16, num_classes=2),
)
test_dataloader = dict(
    dataset=dict(
        metainfo=dict(classes=("square", "disc")),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale={SIZE}, keep_ratio=True),
            dict(type="Pad", pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    )
)
"""
QUICK = ["--iterations", "2", "--batch-size", "2", "--lr", "0.01", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A YOLOX of mmdet, two detectors of transformers, and photos; one of them is broken."""
    root = tmp_path_factory.mktemp("adapt")
    (root / "yolox.py").write_text(YOLOX)
    torch.save(dict(state_dict=model_of("yolox").state_dict()), root / "yolox.pth")
    for name, kind in (("rtdetr", "transformers"), ("rfdetr", "rfdetr")):
        model_of(kind).save_pretrained(root / name)
        prepare_for(kind).save_pretrained(root / name)
    settings = json.loads((root / "rfdetr/preprocessor_config.json").read_text())
    settings["image_processor_type"] = "RfDetrImageProcessor"  # as on the hub; needs torchvision
    (root / "rfdetr/preprocessor_config.json").write_text(json.dumps(settings))
    write_photos(root / "photos")
    (root / "photos/broken.jpg").write_bytes(b"no image")
    return root


def detector(folder: Path, name: str) -> list[str]:
    files = ["yolox.py", "yolox.pth"] if name == "yolox" else [name]
    return [str(folder / file) for file in files]


@pytest.fixture(scope="module", params=["yolox", "rtdetr", "rfdetr"])
def adapted(folder, request, tmp_path_factory) -> tuple[list[str], Path, str]:
    """The words of a detector, the folder of its adapter, and what the command said."""
    words, out = detector(folder, request.param), tmp_path_factory.mktemp("out") / "adapted"
    said = run(adapt, [*words, str(folder / "photos"), "--out", str(out), *QUICK])
    return words, out, said


def run(command, words) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        command.main(list(map(str, words)))
    return said.getvalue()


def test_it_says_what_it_does_and_what_came_of_it(adapted):
    words, out, said = adapted
    assert "5 to train on, 1 held out; 1 skipped" in said
    assert "broken.jpg: not an image" in said
    assert "96 x" in said
    assert "warning: 6 photos are few" in said
    assert "2 iterations of 2" in said
    assert re.search(r"^severity 5 .*[+-]", said, re.M) or "nan" in said
    assert "bitwise unchanged" in said
    assert f"derain-adapt merge {' '.join(words)} --adapter {out}" in said
    names = {path.name for path in out.iterdir()}
    assert names == {WEIGHTS, CONFIG, "adapt_run.json", "before_after.jpg", "training"}
    config = json.loads((out / CONFIG).read_text())
    assert config["base_model_name_or_path"] == words[-1]
    assert config["training"]["iterations"] == 2
    assert config["rain"] == dict(name="ours", version=config["rain_version"])


def test_merged_it_needs_no_adapter(adapted, folder, tmp_path):
    words, out, _ = adapted
    run(adapt, ["merge", *words, "--adapter", out, "--out", tmp_path / "merged", "--device", "cpu"])
    if len(words) == 1:
        merged = FeatureDerainRTDetr.from_pretrained(tmp_path / "merged")
        loaded = load_adapter(load_pretrained(words[0]), out)
        assert hash_of(merged.state_dict()) == hash_of(loaded.state_dict())
        return
    found = [tmp_path / "by_adapter.json", tmp_path / "merged.json"]
    merged = [tmp_path / "merged/config.py", tmp_path / "merged/checkpoint.pth"]
    for file, model in zip(found, ([*words, "--adapter", out], merged), strict=True):
        seen = ["--out-dir", file.with_suffix(""), "--json", file, "--score-thr", "0"]
        run(infer, [*model[:2], folder / "photos/0.png", *model[2:], *seen, "--device", "cpu"])
    by_adapter, by_merged = (json.loads(file.read_text())["annotations"] for file in found)
    assert by_adapter == by_merged
    assert by_adapter


@pytest.mark.parametrize("adapted", ["yolox"], indirect=True)
def test_tested_with_an_adapter_it_is_the_merged_detector(adapted, coco_root, tmp_path):
    words, out, _ = adapted
    run(adapt, ["merge", *words, "--adapter", out, "--out", tmp_path / "merged", "--device", "cpu"])
    found = []
    for name, model in dict(
        adapter=[*words, "--adapter", out],
        merged=sorted((tmp_path / "merged").iterdir(), reverse=True),
    ).items():
        data = "test_dataloader.dataset."
        options = [
            f"{data}data_root={coco_root}/",
            f"{data}ann_file=annotations/instances_val2017.json",
            f"{data}data_prefix.img=val2017/",
            f"test_evaluator.ann_file={coco_root}/annotations/instances_val2017.json",
            "test_dataloader.num_workers=0",
            "model.test_cfg.score_thr=0",
        ]
        file = tmp_path / f"{name}.pkl"
        work = ["--work-dir", tmp_path / "work", "--out", file, "--cfg-options", *options]
        test_cli.main(list(map(str, [*model, *work])))
        (predictions,) = load_predictions(file).values()
        found.append(predictions)
    by_adapter, by_merged = found  # under the EMAHook of the config, which swaps weights in
    np.testing.assert_array_equal(by_adapter.boxes, by_merged.boxes)
    np.testing.assert_array_equal(by_adapter.scores, by_merged.scores)
    assert len(by_adapter.scores)


def test_an_adapter_of_another_checkpoint_is_refused_by_name(adapted, folder, tmp_path):
    words, out, _ = adapted
    if len(words) == 1:
        return
    torch.save(dict(state_dict=model_of("yolox", seed=1).state_dict()), tmp_path / "other.pth")
    seen = ["--adapter", out, "--out-dir", tmp_path / "seen", "--device", "cpu"]
    with pytest.raises(SystemExit, match=r"trained for .*yolox.pth, whose backbone"):
        run(infer, [words[0], tmp_path / "other.pth", folder / "photos/0.png", *seen])
    assert not (tmp_path / "seen").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.py"], "name a checkpoint after the config a.py"),
        (["a.py", "a.pth"], "name photos of clear weather"),
        (["a", "photos", "--epochs", "1", "--minutes", "1"], "not allowed with"),
        (["a", "photos", "--severity", "0-3"], "expected one of 1-5, or such as 1-3, got 0-3"),
        (["a", "photos", "--clean-share", "2"], "expected a number in 0-1, got 2"),
        (["a", "photos", "--minutes", "0"], "expected a number above 0, got 0"),
        (["a", "photos", "--loss-weights", "0", "0", "0"], "must be 0 or more, and one above"),
        (["merge", "a", "b"], "--adapter"),
        (["a", "photos", "--labels"], "--labels needs PHOTOS as COCO json, got photos"),
    ],
)
def test_wrong_words_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        adapt.main([*words, "--out", "no_such_folder"])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_checkpoint_of_another_detector_is_refused(folder, tmp_path):
    other = dict(state_dict=torch.nn.Linear(2, 3).state_dict())
    torch.save(other, tmp_path / "linear.pth")
    state = model_of("yolox").state_dict()
    state = {k: v[:1] if k.startswith("backbone.stem") and v.ndim else v for k, v in state.items()}
    torch.save(dict(state_dict=state), tmp_path / "shape.pth")
    for name, match in (("linear", "misses"), ("shape", "has in another shape")):
        words = [folder / "yolox.py", tmp_path / f"{name}.pth", folder / "photos", *QUICK]
        with pytest.raises(SystemExit, match=f"{name}.pth does not fit this YOLOX: it {match}"):
            run(adapt, [*words, "--out", tmp_path / "out"])
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_left_alone(folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        adapt.main([*detector(folder, "yolox"), "photos", "--out", str(tmp_path)])
    assert "exists: name a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("photos", "match"),
    [("nowhere", "nowhere is no folder, file or glob"), ("broken.jpg", "none of 1 photos")],
)
def test_photos_that_are_none_end_it_before_any_training(photos, match, folder, tmp_path):
    words = [*detector(folder, "rtdetr"), str(folder / "photos" / photos)]
    with pytest.raises(SystemExit, match=match):
        adapt.main([*words, "--out", str(tmp_path / "out"), *QUICK])
    assert not (tmp_path / "out").exists()


def test_in_python_the_models_own_pipeline_prepares(folder, tmp_path):
    model = init_detector(str(folder / "yolox.py"), str(folder / "yolox.pth"), device="cpu")
    plain = hash_of(model.state_dict())
    length = Length(iterations=1)
    adapted = adapt_in_python(model, [folder / "photos"], tmp_path / "out", length=length)
    assert adapted.model is model
    assert hash_of(remove_adapter(model).state_dict()) == plain
    model.cfg = None
    with pytest.raises(ValueError, match="load it with mmdet's init_detector, or give prepare="):
        adapt_in_python(model, [folder / "photos"], tmp_path / "again", length=length)


@pytest.mark.parametrize("name", ["yolox", "rtdetr"])
def test_a_detector_that_is_adapted_already_is_refused(name, folder, tmp_path):
    model = model_of("yolox" if name == "yolox" else "transformers")
    prepare = prepare_for("yolox" if name == "yolox" else "transformers")
    photos = sorted((folder / "photos").glob("*.png"))
    length = Length(iterations=1)
    adapted = adapt_in_python(model, photos, tmp_path / "a", prepare=prepare, length=length)
    with pytest.raises(ValueError, match="has a de-rain neck already"):
        adapt_in_python(adapted.model, photos, tmp_path / "b", prepare=prepare, length=length)


@pytest.mark.slow
def test_stopped_and_resumed_it_is_the_same_adapter(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "ROUND", 2)
    words = [*detector(folder, "rtdetr"), str(folder / "photos"), *QUICK[2:], "--iterations", "4"]
    run(adapt, [*words, "--out", tmp_path / "whole"])
    with monkeypatch.context() as killed:
        killed.setattr(progress.ProgressHook, "after_train_iter", _stop_late)
        with pytest.raises(SystemExit) as stop:
            run(adapt, [*words, "--out", tmp_path / "stopped"])
    assert stop.value.code == 130
    assert not (tmp_path / "stopped" / WEIGHTS).exists()
    for other in (["--lr", "0.5"], ["--renderer", "imgaug"]):
        with pytest.raises(SystemExit, match=r"other settings \((lr|the rain) differ\)"):
            run(adapt, [*words, *other, "--out", tmp_path / "stopped", "--resume"])
    with pytest.raises(SystemExit, match="begun with 4 iterations, not 3: resume without"):
        run(adapt, [*words[:-1], "3", "--out", tmp_path / "stopped", "--resume"])
    said = run(adapt, [*words, "--out", tmp_path / "stopped", "--resume"])
    assert "4 of 4 iterations" in said
    files = [(tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "stopped")]
    assert files[0] == files[1]


def _stop_late(hook, runner, batch_idx, data_batch=None, outputs=None):
    if runner.iter == 2:
        raise KeyboardInterrupt


def test_with_labels_there_is_a_detection_loss_and_ap(folder, tmp_path):
    images = [dict(id=i, file_name=f"{i}.png", width=75 + i, height=50) for i in range(6)]
    boxes = [
        dict(id=i + 1, image_id=i, category_id=7, bbox=[5, 5, 30, 30], area=900, iscrowd=0)
        for i in range(6)
    ]
    content = dict(images=images, annotations=boxes, categories=[dict(id=7, name="disc")])
    coco = folder / "photos/discs.json"
    coco.write_text(json.dumps(content))
    words = [*detector(folder, "yolox"), str(coco), "--val", str(coco), "--labels", *QUICK]
    said = run(adapt, [*words, "--out", tmp_path / "a"])
    assert re.search(r"AP with the labels of .*discs.json: 6 photos as they are", said)
    assert re.search(r"^disc +6 ", said, re.M)
    training = json.loads((tmp_path / "a" / CONFIG).read_text())["training"]
    assert training["labels"] is True
    assert training["with_labels"][0]["rows"]["disc"]["boxes"] == 6
    content["categories"][0]["name"] = "tree"
    coco.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"has tree, and the detector knows square, disc"):
        run(adapt, [*words, "--out", tmp_path / "b"])
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fog.py:fog", "fog of ours was asked for"),
        ("fog.py:rain", "renderer fog.py:rain cannot be imported"),
        ("ours:1", "renderer ours:1 is not there"),
        ("rainy", "rainy holds no rainy copy of 5 of 6 photos, such as .*photos/1.png"),
    ],
)
def test_a_renderer_that_cannot_be_used_is_refused_before_training(
    name, message, folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("fog.py").write_text(
        "def fog(image, severity, *, seed):\n    raise ValueError('fog of ours was asked for')\n"
    )
    write_photos(tmp_path / "rainy", 1)
    words = [*detector(folder, "rtdetr"), str(folder / "photos"), "--out", "a", *QUICK]
    with pytest.raises(SystemExit, match=message):
        adapt.main([*words, "--renderer", name])
    assert not Path("a").exists()


def test_rainy_copies_are_learned_and_shown(folder, tmp_path):
    write_photos(tmp_path / "rainy")
    photos = [str(folder / "photos" / f"{number}.png") for number in range(6)]
    words = [*detector(folder, "rtdetr"), *photos, "--out", tmp_path / "a", *QUICK]
    said = run(adapt, [*words, "--renderer", tmp_path / "rainy"])
    assert f"rain:      {tmp_path}/rainy " in said
    rain = json.loads((tmp_path / "a" / CONFIG).read_text())["rain"]
    assert rain["name"] == f"{tmp_path}/rainy"
    assert (tmp_path / "a/before_after.jpg").exists()


def test_nothing_to_resume(folder, tmp_path):
    words = [*detector(folder, "rtdetr"), str(folder / "photos"), "--resume", *QUICK]
    with pytest.raises(SystemExit, match="so there is nothing to resume"):
        adapt.main([*words, "--out", str(tmp_path / "none")])


def test_exported_files_take_no_adapter(capsys):
    with pytest.raises(SystemExit):
        infer.main(["a.onnx", "a.jpg", "--adapter", "a", "--out-dir", "b"])
    assert "--adapter goes with a config and a checkpoint" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.main(["a.py", "--adapter", "a", "--format", "onnx", "--out", "a.onnx"])
    assert "--adapter needs the checkpoint" in capsys.readouterr().err
