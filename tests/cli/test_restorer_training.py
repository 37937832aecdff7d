"""The job of configs/spdnet_rain.py: train on ten real photos, resume, score, hand over."""

import gc
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from derain_plugin import load_config
from derain_plugin.cli import test as test_cli
from derain_plugin.cli import train as train_cli
from derain_plugin.engine.safety.checkpoint import load_from_local

CONFIGS = Path(__file__).parents[2] / "configs"
CHILD = """
_base_ = {base!r}
model = dict(restorer=dict({restorer}))
train_pipeline = [dict(step) for step in _base_.train_pipeline]
train_pipeline[1].update(size=(32, 32))
train_pipeline[3].update(crop_size=(32, 32))
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(pipeline=train_pipeline, percent=80)
)
val_pipeline = [dict(step) for step in _base_.val_dataloader.dataset.pipeline]
val_pipeline[1].update(size=(32, 32))
val_pipeline[3].update(crop_size=(32, 32))
val_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(pipeline=val_pipeline, percent=50)
)
test_dataloader = dict(batch_size=2, num_workers=0)
train_cfg = dict(max_epochs=2, val_interval=1)
"""


@MODELS.register_module()
class Unveil(nn.Module):
    """Another restorer: one convolution, which begins as the identity."""

    def __init__(self):
        super().__init__()
        self.change = nn.Conv2d(3, 3, 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, images):
        return images + 255 * self.change(images / 255)

    restore = forward


def write_config(folder, restorer, **lines):
    path = folder / "tiny_restorer.py"
    extra = "".join(f"{name} = {value}\n" for name, value in lines.items())
    path.write_text(CHILD.format(base=str(CONFIGS / "spdnet_rain.py"), restorer=restorer) + extra)
    return str(path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"), "n_feats=4, num_blocks=1")


def train(config, work_dir, coco_root, *options, resume=False):
    gc.freeze()  # mmengine collects garbage, which takes long among so many modules
    arguments = [config, "--work-dir", str(work_dir), *["--resume"] * resume, "--cfg-options"]
    train_cli.main([*arguments, f"data_root={coco_root}", *options])


@pytest.fixture(scope="module")
def trained(tiny, coco_root, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("work")
    train(tiny, work_dir, coco_root)
    return work_dir


def test_any_restorer_gains_over_its_rainy_input(coco_root, tmp_path):
    restorer = "_delete_=True, type='Unveil'"
    optim_wrapper = "dict(optimizer=dict(lr=0.02))"
    config = write_config(tmp_path, restorer, optim_wrapper=optim_wrapper)
    train(
        config, tmp_path / "work", coco_root, "train_cfg.max_epochs=8", "train_cfg.val_interval=8"
    )
    arguments = [config, str(tmp_path / "work/epoch_8.pth"), "--work-dir", str(tmp_path / "test")]
    metrics = test_cli.main([*arguments, "--cfg-options", f"data_root={coco_root}"])
    gains = [metrics[f"restoration/severity_{k}/gain_PSNR"] for k in (1, 2, 3, 4, 5)]
    assert min(gains[2:]) > 0.8  # where there is a veil to lift
    assert metrics["restoration/gain_PSNR"] == pytest.approx(sum(gains) / 5)


def test_a_resumed_run_ends_as_the_whole_one(tiny, trained, coco_root, tmp_path):
    train(tiny, tmp_path, coco_root, "train_cfg.max_epochs=1")
    train(tiny, tmp_path, coco_root, resume=True)
    whole, resumed = (
        load_from_local(str(folder / "epoch_2.pth"))["state_dict"] for folder in (trained, tmp_path)
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert list(tmp_path.glob("best_restoration_PSNR_epoch_*.pth"))


def test_the_detectors_config_takes_its_checkpoint(trained):
    name = "model.data_preprocessor.restorer"
    init_cfg = dict(type="Pretrained", checkpoint=str(trained / "epoch_2.pth"), prefix="restorer.")
    options = {f"{name}.init_cfg.{key}": value for key, value in init_cfg.items()}
    options |= {f"{name}.n_feats": 4, f"{name}.num_blocks": 1}
    cfg = load_config(CONFIGS / "rtdetr_r18_spdnet.py", options)
    restorer = MODELS.build(cfg.model.data_preprocessor).restorer
    weights = load_from_local(init_cfg["checkpoint"])["state_dict"]
    assert all(torch.equal(t, weights[f"restorer.{n}"]) for n, t in restorer.state_dict().items())


@pytest.mark.parametrize("option", ["--out=a.pkl", "--show", "--show-dir=a", "--conditions=a.py"])
def test_options_of_detectors_are_refused(tiny, trained, coco_root, tmp_path, option):
    with pytest.raises(SystemExit, match=f"{option.partition('=')[0]} is for detectors"):
        test_cli.main([tiny, str(trained / "epoch_2.pth"), "--work-dir", str(tmp_path), option])


def test_a_missing_folder_is_named(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder /nowhere/train2017/ does not exist; set"):
        train(tiny, tmp_path, "/nowhere")
    assert not list(tmp_path.glob("*.pth"))
