"""Our configs under mmdet's own ``tools/train.py`` and ``tools/test.py``, as processes."""

import os
import subprocess
import sys
from pathlib import Path

import mmdet
import pytest
import torch

TOOLS = Path(mmdet.__file__).parent / ".mim/tools"


def run(tool, *arguments):
    environment = os.environ | dict(OMP_NUM_THREADS="1", PYTHONPATH=str(Path(__file__).parents[2]))
    return subprocess.run(
        [sys.executable, TOOLS / tool, *map(str, arguments)],
        env=environment,
        text=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def trained(config, weights, settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmdet")
    options = ["--cfg-options", *settings, f"load_from={weights}"]
    options += [f"{part}_dataloader.persistent_workers=False" for part in ("train", "val")]
    options += ["test_dataloader.persistent_workers=False"]
    result = run("train.py", config, "--work-dir", folder, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    return folder, result.stdout + result.stderr, options


@pytest.mark.slow
def test_mmdets_train_fills_settings_in_and_runs_the_phases(trained):
    folder, log, _ = trained
    assert "Phase 1/2 'derain', epochs 1-1" in log
    assert "Phase 2/2 'joint', epochs 2-2" in log
    assert (folder / "epoch_2.pth").is_file()
    checkpoint = torch.load(folder / "epoch_2.pth", weights_only=False)
    assert checkpoint["meta"]["dataset_meta"]["classes"] == ("square", "disc")


@pytest.mark.slow
def test_mmdets_test_measures_clean_and_rainy_images(trained):
    folder, _, options = trained
    result = run("test.py", folder / "tiny_featderain.py", folder / "epoch_2.pth", *options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "clean/coco/bbox_mAP" in result.stdout + result.stderr
    assert "robustness/bbox_mPC" in result.stdout + result.stderr


@pytest.mark.slow
def test_mmdets_train_reads_a_pickled_object_as_no_checkpoint(trained, config, settings, tmp_path):
    """Ours is named in the config, by ``SafeFilesHook``."""
    torch.save(dict(state_dict={}, meta={}, extra=Path("a")), tmp_path / "foreign.pth")
    *_, options = trained
    options = [f"load_from={tmp_path}/foreign.pth" if "load_from" in o else o for o in options]
    result = run("train.py", config, "--work-dir", tmp_path / "work", *options)
    assert result.returncode != 0
    assert "foreign.pth" in result.stderr
    assert not list((tmp_path / "work").glob("*.pth"))
