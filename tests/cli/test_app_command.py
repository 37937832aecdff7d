"""The command line of ``tools/app.py``; what the page does is tested with it."""

import builtins

import numpy as np
import pytest

from derain_plugin.apis import Detector
from derain_plugin.app.comparison import Comparison
from derain_plugin.cli import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vanilla", "a.py", "a.pth"], "give both"),
        (["--derained", "a.py", "a.pth"], "give both"),
        (["--max-upload-mb", "0"], "--max-upload-mb must be positive"),
        (["--max-megapixels", "-1"], "--max-megapixels must be positive"),
        (["--port", "70000"], "--port must be in 1-65535"),
        (["--screenshot", "page.jpg"], "must be a .png"),
        (["--device", "nowhere"], "--device nowhere"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        app.parse_args(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_only_this_machine_unless_told_otherwise():
    assert app.parse_args([]).host == "127.0.0.1"


def test_without_a_demo_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"toy_rtdetr_coco\.py: run `make demo`, or give"):
        app.comparison_of(app.parse_args([]))


def test_without_gradio_it_names_the_extra(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "gradio":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SystemExit, match=r"pip install derain_plugin\[app\]"):
        app.main([])


def test_masks_are_of_the_derained_detector_and_not_in_its_time(config, weights, monkeypatch):
    few = {"image_size": 64, "model.test_cfg.max_per_img": 3}
    pair = [Detector(config, weights, device="cpu", cfg_options=few, name=n) for n in "ab"]
    grey = np.full((60, 80, 3), 90, np.uint8)
    hooks = []
    detect = Detector.detect

    def watched(self, image):
        hooks.append(len(self.model.neck.derain._forward_pre_hooks))
        return detect(self, image)

    monkeypatch.setattr(Detector, "detect", watched)
    results = Comparison(*pair).detect(grey, severity=3, score_thr=0)
    assert hooks == [0, 0, 1]
    assert not pair[1].model.neck.derain._forward_pre_hooks
    assert results[0].view.masked is None
    assert [mask.shape for mask in results[1].view.masked.masks] == [(8, 8), (4, 4), (2, 2)]
