"""Mistakes in a config end a training before it starts, with a message that says what to do."""

import pytest

from derain_plugin.cli import train as train_cli

CASES = {
    "unknown architecture": ("model.backbone.arch=r19", "unknown RT-DETR arch 'r19'; choose"),
    "another family's": ("model.bbox_head.arch=yolo", "unknown RT-DETR arch 'yolo'; choose"),
    "wrong channels": ("model.neck.derain.in_channels=[16,24,33]", r"in_channels \(16, 24, 33\)"),
    "wrong levels": ("model.neck.derain.in_channels=[16,24]", "give both the channels of the"),
    "unknown argument": ("model.neck.derain.typo=3", "unexpected keyword argument 'typo'"),
    "gap of phases": ("custom_hooks.0.phases.1.epochs=(3,3)", "leave a gap: phase 'joint'"),
    "overlapping phases": ("custom_hooks.0.phases.1.epochs=(1,2)", "overlap: phase 'joint'"),
    "phases too short": ("train_cfg.max_epochs=3", "max_epochs is 3; add --cfg-options"),
    "no phases": ("custom_hooks.0.phases=[]", "phases is empty: give at least one"),
    "phase without rates": ("custom_hooks.0.phases.0.lr=0.1", "needs lr={pattern: rate}"),
    "percent 0": ("percent=0", r"percent must be in \(0, 100\], got 0"),
    "percent 101": ("percent=101", r"percent must be in \(0, 100\], got 101"),
    "percent is text": ("percent=all", "percent must be a number, got 'all'"),
    "ratio -1": ("train_dataloader.dataset.rain_ratio=-1", "rain_ratio must be in .* got -1"),
    "ratio 2": ("train_dataloader.dataset.rain_ratio=2", "rain_ratio must be in .* got 2"),
    "severity 6": ("synthetic_rain=6", "severity must be in 0-5, got 6"),
    "severities backwards": ("synthetic_rain=(3,1)", r"from mild to worst, got \(3, 1\)"),
    "image size 100": ("image_size=100", "positive multiple of 32 px, .*got 100"),
    "image size -64": ("image_size=-64", "positive multiple of 32 px, .*got -64"),
    "class that is not there": ("classes=square,cube", "has no category 'cube'; it has 'square'"),
    "folder that is not there": ("data_root=/nowhere", "does not exist; set data_root"),
    "no rainy images": ("synthetic_rain=None", "or render rain on the fly"),
    "weights that are not there": ("load_from=/nowhere.pth", "/nowhere.pth is not a file"),
    "setting that is mistyped": ("percnt=50", "has no percnt, .* did you mean percent"),
    "section that is mistyped": ("modle.neck.derain.in_channels=3", "did you mean model"),
    "batch of none": ("train_dataloader.batch_size=0", "got batch_size=0"),
}


@pytest.mark.parametrize(("option", "message"), CASES.values(), ids=CASES)
def test_refused(config, settings, weights, tmp_path, option, message):
    options = [*settings, f"load_from={weights}", option]
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        train_cli.main([config, "--work-dir", str(tmp_path), "--cfg-options", *options])
    assert not list(tmp_path.rglob("*.pth"))
