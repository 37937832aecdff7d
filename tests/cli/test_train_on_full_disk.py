import errno
import os
from types import SimpleNamespace

import pytest

from derain_plugin.cli import train as train_cli
from derain_plugin.cli.machine import ROOT
from derain_plugin.engine.hooks import LabelMapHook

CONFIG = str(ROOT / "projects/study/configs/toy/toy_rtdetr_coco.py")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        # As mmengine's log raises it: without the name of a file.
        (errno.ENOSPC, r"the disk of .*/work is full: make room, then continue with --resume"),
        (errno.EDQUOT, r"the disk of .*/work is full: make room"),
        (errno.EACCES, r"^\[Errno 13\] Permission denied$"),
    ],
)
def test_what_to_do_is_told(tmp_path, monkeypatch, number, message):
    def train():
        raise OSError(number, os.strerror(number))

    runner = SimpleNamespace(
        from_cfg=lambda _: SimpleNamespace(
            train=train, hooks=[LabelMapHook()], register_hook=lambda _: None
        )
    )
    monkeypatch.setattr("mmengine.registry.RUNNERS.build", runner.from_cfg)
    monkeypatch.setattr("derain_plugin.datasets.checks.coco_check.check_datasets", lambda *_: None)
    with pytest.raises(OSError, match=message) as caught:
        train_cli.main([CONFIG, "--work-dir", f"{tmp_path}/work"])
    assert caught.value.errno == number
