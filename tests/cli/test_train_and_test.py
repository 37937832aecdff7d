"""The main job on ten real photos: train in two phases, resume, score clean and rainy."""

import json
import pickle
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from tiny_rtdetr import TINY, TINY_DEIMV2, TINY_RFDETR, tiny_twin

from derain_plugin.cli import plot_robustness as plot_cli
from derain_plugin.cli import test as test_cli
from derain_plugin.cli import train as train_cli
from derain_plugin.engine.safety.checkpoint import load_from_local
from derain_plugin.hf import load_from_hf

CONFIGS = Path(__file__).parents[2] / "configs"


def text_of(settings):
    return ", ".join(f"{key}={value!r}" for key, value in settings.items())


TINY_TEXT = text_of(TINY)


def train(config, work_dir, settings, *options):
    train_cli.main([config, "--work-dir", str(work_dir), *options, "--cfg-options", *settings])


@pytest.fixture(scope="module")
def trained(config, settings, weights, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("work")
    train(config, work_dir, [*settings, f"load_from={weights}"])
    return work_dir


def weights_of(path):
    return load_from_local(path)["state_dict"]


def logged(work_dir):
    lines = "".join(p.read_text() for p in sorted(work_dir.glob("*/vis_data/scalars.json")))
    return [json.loads(line) for line in lines.splitlines()]


def test_each_phase_trains_what_it_names(trained, weights):
    start = {ours(name): value for name, value in load_from_hf(weights)["state_dict"].items()}
    first, second = (weights_of(trained / f"epoch_{epoch}.pth") for epoch in (1, 2))
    kept = [name for name in start if start[name].shape == first[name].shape]
    assert len(kept) > 200
    for name in kept:
        assert torch.equal(first[name], start[name]), name
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    for part in ("neck.derain.", "backbone.", "neck.neck.", "bbox_head."):
        assert any(name.startswith(part) for name in moved), part


def ours(name):
    """The derained detector's name of a vanilla weight."""
    return "neck.neck." + name.removeprefix("neck.") if name.startswith("neck.") else name


def test_log_has_losses_rates_and_the_gap(trained):
    entries = logged(trained)
    rates = [entry["lr"] for entry in entries if "loss_vfl" in entry]
    assert rates[0] == pytest.approx(5e-4)
    assert any("gap/bbox_mAP" in entry for entry in entries)


def test_resume_continues_with_the_second_phase(trained, config, settings, tmp_path):
    work_dir = tmp_path / "resumed"
    shutil.copytree(trained, work_dir)
    (work_dir / "epoch_2.pth").unlink()
    (work_dir / "last_checkpoint").write_text(str(work_dir / "epoch_1.pth"))
    train(config, work_dir, settings, "--resume")
    resumed = load_from_local(work_dir / "epoch_2.pth")
    assert resumed["meta"]["epoch"] == 2
    first = weights_of(trained / "epoch_1.pth")
    assert any(not torch.equal(first[k], v) for k, v in resumed["state_dict"].items())


@pytest.mark.parametrize("written", ["/gone/epoch_1.pth", "epoch_1.pth\n", "{here}/epoch_1.pth"])
def test_a_moved_folder_resumes_from_its_own_checkpoint(tmp_path, written):
    (tmp_path / "epoch_1.pth").touch()
    (tmp_path / "last_checkpoint").write_text(written.format(here=tmp_path))
    cfg = Config(dict(work_dir=str(tmp_path), load_from="start.pth"))
    train_cli._set_resume(cfg, "auto")
    assert cfg.resume
    assert cfg.load_from == (None if "here" in written else str(tmp_path / "epoch_1.pth"))


@pytest.mark.parametrize("written", ["", "/gone/epoch_2.pth"])
def test_a_checkpoint_that_is_gone_is_named(tmp_path, written):
    (tmp_path / "last_checkpoint").write_text(written)
    with pytest.raises(FileNotFoundError, match=r"last_checkpoint names .* gone: .*--resume CHECK"):
        train_cli._set_resume(Config(dict(work_dir=str(tmp_path))), "auto")


def test_a_new_run_does_not_overwrite_an_old_one(trained, config, settings):
    with pytest.raises(ValueError, match=r"already holds .*epoch_2.pth.*--resume"):
        train(config, trained, settings)


@pytest.fixture(scope="module")
def tested(trained, config, settings, tmp_path_factory):
    """Metrics, and the folder with all that a test leaves."""
    folder = tmp_path_factory.mktemp("test")
    checkpoint = str(trained / "epoch_2.pth")
    arguments = [config, checkpoint, "--work-dir", str(folder), "--out", str(folder / "found.pkl")]
    return test_cli.main([*arguments, "--cfg-options", *settings]), folder


CONDITIONS = ["clean", *(f"severity_{k}" for k in (1, 2, 3, 4, 5))]


def test_scores_every_severity(tested):
    metrics, _ = tested
    values = [metrics[f"{name}/coco/bbox_mAP"] for name in CONDITIONS]
    assert metrics["robustness/bbox_P"] == values[0]
    assert metrics["robustness/bbox_mPC"] == pytest.approx(sum(values[1:]) / 5, abs=1e-4)


def test_dumps_the_predictions_of_every_condition(tested):
    predictions = pickle.loads((tested[1] / "found.pkl").read_bytes())
    assert [p["dataset"] for p in predictions] == [*CONDITIONS] * 10
    paths = [Path(p["img_path"]).name for p in predictions]
    assert paths == [name for name in paths[::6] for _ in CONDITIONS]
    assert len(set(paths)) == 10
    boxes = [p["pred_instances"]["bboxes"] for p in predictions[:6]]
    assert all(not torch.equal(boxes[0], others) for others in boxes[1:])


def test_leaves_a_report_to_plot(tested, config, tmp_path, capsys):
    metrics, folder = tested
    (path,) = folder.glob("*/robustness.json")
    report = json.loads(path.read_text())
    assert report["title"] == Path(config).stem
    assert list(report["conditions"]) == CONDITIONS
    for name in CONDITIONS:
        assert report["conditions"][name]["AP50"] == metrics[f"{name}/coco/bbox_mAP_50"]
    plot_cli.main([str(path), f"again={path}", "--out", str(tmp_path / "plot.png")])
    assert cv2.imread(str(tmp_path / "plot.png")) is not None
    shown = capsys.readouterr().out
    assert all(f"\n{title} " in shown for title in ("again", report["title"]))


@pytest.mark.parametrize("name", ["held_out_rain", "rainy_copy"])
def test_scores_under_other_conditions(trained, config, settings, tmp_path, name):
    conditions = str(CONFIGS / f"conditions/{name}.py")
    arguments = [config, str(trained / "epoch_2.pth"), "--conditions", conditions]
    arguments += ["--work-dir", str(tmp_path), "--cfg-options", *settings]
    metrics = test_cli.main([*arguments, "test_dataloader.num_workers=0"])
    other = dict(held_out_rain="held_out", rainy_copy="rainy")[name]
    gap = metrics["clean/coco/bbox_mAP"] - metrics[f"{other}/coco/bbox_mAP"]
    assert metrics["gap/bbox_mAP"] == pytest.approx(gap, abs=1e-4)
    (path,) = tmp_path.glob("*/robustness.json")
    assert json.loads(path.read_text())["conditions_from"] == conditions


def test_scores_an_hf_folder(config, settings, two_class_weights, tmp_path):
    arguments = [config, two_class_weights, "--work-dir", str(tmp_path), "--cfg-options", *settings]
    assert "severity_5/coco/bbox_mAP" in test_cli.main(arguments)


def test_amp_on_this_machine(config, settings, weights, tmp_path):
    options = [*settings, f"load_from={weights}", "percent=20"]
    train(config, tmp_path / "amp", options, "--amp", "--auto-scale-lr")
    assert (tmp_path / "amp/epoch_2.pth").exists()
    used = Config.fromfile(tmp_path / "amp" / Path(config).name)
    expected = "AmpOptimWrapper" if torch.cuda.is_available() else "mmdet.BF16OptimWrapper"
    assert used.optim_wrapper.type == expected
    assert used.auto_scale_lr.enable


DERAINED = f"neck=dict(derain=dict(in_channels=[16, 24, 32]), neck=dict({TINY_TEXT}))"
OTHER_RECIPES = {
    "rtdetr_r18_coco": (f"neck=dict({TINY_TEXT})", []),
    "rtdetr_r18_finetune_mix": (f"neck=dict({TINY_TEXT})", ["finetune"]),
    "rtdetr_r18_featderain_lite": (DERAINED, ["derain", "joint"]),
    "rtdetr_r18_featderain_adapter": (DERAINED, ["fast", "slow", "settle"]),
    "deimv2_n_featderain_adapter": (DERAINED, ["fast", "slow", "settle"]),
    "rfdetr_nano_featderain_adapter": (
        DERAINED.replace("in_channels=[16, 24, 32])", "in_channels=[32, 32])", 1),
        ["fast", "slow", "settle"],
    ),
}
OTHER_FAMILIES = dict(deimv2_n=TINY_DEIMV2, rfdetr_nano=TINY_RFDETR)


SLOW = {*OTHER_RECIPES} - {"rtdetr_r18_finetune_mix"}


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(r, marks=pytest.mark.slow if r in SLOW else ()) for r in OTHER_RECIPES],
)
def test_other_recipes_train_and_validate(recipe, settings, weights, tmp_path):
    neck, phases = OTHER_RECIPES[recipe]
    model = f"dict(backbone=dict({TINY_TEXT}), bbox_head=dict({TINY_TEXT}), {neck})"
    arch = recipe.partition("_featderain")[0]
    if arch in OTHER_FAMILIES:
        model = model.replace(TINY_TEXT, text_of(OTHER_FAMILIES[arch]))
        tiny_twin(arch, num_classes=80).save_pretrained(tmp_path / arch)
        weights = f"hf://{tmp_path / arch}"
    path = tmp_path / f"{recipe}.py"
    path.write_text(f"_base_ = {str(CONFIGS / f'{recipe}.py')!r}\nmodel = {model}\n")
    phased = [f"phases.{name}.epochs=({number},{number})" for number, name in enumerate(phases, 1)]
    loaders = [f"{name}_dataloader.num_workers=0" for name in ("train", "val")]
    epochs = max(len(phases), 1)
    quick = [
        f"train_cfg.max_epochs={epochs}",
        "train_dataloader.batch_size=5",
        f"load_from={weights}",
    ]
    if recipe.endswith("adapter"):
        quick.append(f"model.teacher={weights}")
    train(str(path), tmp_path / "work", [*settings, *quick, *loaders, *phased])
    assert (tmp_path / f"work/epoch_{epochs}.pth").exists()
    assert list(tmp_path.glob("work/best_*_coco_bbox_mAP_epoch_*.pth"))  # it was validated
    if recipe.endswith("adapter"):
        start = {ours(name): value for name, value in load_from_hf(weights)["state_dict"].items()}
        first, after = (weights_of(tmp_path / f"work/epoch_{epoch}.pth") for epoch in (1, 3))
        kept = [name for name in start if start[name].shape == after[name].shape]
        assert len(kept) > 0.9 * len(start)
        assert all(torch.equal(after[name], start[name]) for name in kept)
        trained = "neck.derain" if arch.startswith("rfdetr") else "backbone.derain"
        assert any(trained in name and value.ne(first[name]).any() for name, value in after.items())


@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ("synthetic_rain=6", ValueError, "6"),
        ("percent=0", ValueError, "percent"),
        ("classes=square,car", ValueError, "no category 'car'"),
        ("data_root=/nowhere", FileNotFoundError, "/nowhere"),
        ("model.backbone.arch=r17", ValueError, "unknown RT-DETR arch 'r17'"),
        ("model.neck.derain.in_channels=16,24,64", ValueError, r"16, 24, 64.*16, 24, 32"),
        ("load_from=hf:///nowhere", FileNotFoundError, "nowhere"),
    ],
)
def test_bad_input_is_refused_before_training(config, settings, tmp_path, option, error, message):
    with pytest.raises(error, match=message):
        train(config, tmp_path / "work", [*settings, option])
    assert not list(tmp_path.glob("work/*.pth"))


@pytest.mark.parametrize("cli", [train_cli, test_cli])
def test_help_teaches_the_settings(cli, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    assert "synthetic_rain=3" in capsys.readouterr().out
