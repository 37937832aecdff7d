"""A guest in the user's process: importing this package registers names and changes nothing."""

import json
import subprocess
import sys

import pytest

SNAPSHOT = """
import importlib, json, os, pkgutil, sys
import mmdet.utils, mmengine.runner.checkpoint, torch, transformers
from mmdet.registry import HOOKS
from mmengine.fileio import io
from mmengine.fileio.backends import backends, prefix_to_backends
from mmengine.registry import DefaultScope
from torch.nn.modules import module as hooks

mmdet.utils.register_all_modules(init_default_scope=True)

def snapshot():
    def named(table):
        return [(key, f"{value.__module__}.{value.__qualname__}") for key, value in table.items()]
    return dict(
        loaders=named(mmengine.runner.checkpoint.CheckpointLoader._schemes),
        backends=named(backends), prefixes=named(prefix_to_backends),
        cached=list(io.backend_instances),
        torch_hooks={name: len(value) for name, value in vars(hooks).items()
                     if name.startswith("_global_") and hasattr(value, "__len__")},
        environment=dict(os.environ),
        checkpoint_hook=str(type(HOOKS.build(dict(type="CheckpointHook")))),
        threads=torch.get_num_threads(),
    )
"""
ALL = """
NAMED = "derain_plugin.hf.mmengine_scheme"
OPTIONAL = {"gradio", "onnx", "onnxruntime", "openvino", "onnxsim"}
before = snapshot()
import derain_plugin
after = snapshot()
assert after == before, (before, after)
count = 0
for info in pkgutil.walk_packages(derain_plugin.__path__, "derain_plugin."):
    if info.name != NAMED and not info.name.endswith("__main__"):
        try:
            importlib.import_module(info.name)
        except ImportError as error:
            assert (error.name or "").split(".")[0] in OPTIONAL, error
        count += 1
        now = snapshot()
        assert now == before, (info.name, before, now)
assert count > 100, count
importlib.import_module(NAMED)
now = snapshot()
assert dict(now.pop("loaders")) == dict(before.pop("loaders")) | {
    "hf://": "derain_plugin.hf.hf_checkpoint.load_from_hf"
}
assert now == before
"""
INSTALL = """
from derain_plugin.engine.safety import install
before = snapshot()
io.get("/proc/self/status", backend_args=None)
cached = snapshot()
first = install()
installed = snapshot()
assert installed["environment"] == before["environment"]
assert dict(installed["loaders"]).keys() == dict(before["loaders"]).keys() | {"hf://"}
assert all(name.startswith("derain_plugin.") for _, name in installed["loaders"])
assert dict(installed["prefixes"])[""].endswith("WholeFileBackend")
with install() as second:
    assert snapshot() == installed
assert snapshot() == installed, "the first still holds it"
first.undo()
first.undo()
now = snapshot()
assert now == cached, (cached, now)
with install():
    assert snapshot() == installed
    import derain_plugin.hf.mmengine_scheme  # as a config names it while a command works
assert "hf://" in dict(snapshot()["loaders"]), "named for good, whatever is undone"
"""


QUIET = """
import warnings
import mmdet.datasets, transformers, torch
from transformers import RTDetrForObjectDetection
before = list(warnings.filters)
import derain_plugin
assert warnings.filters == before, (before, warnings.filters)
warnings.warn("faster_coco_eval is not installed, says another")
"""


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True)


@pytest.mark.parametrize("code", [ALL, INSTALL], ids=["import", "install"])
def test_mmengine_and_torch_are_as_they_were(code):
    result = python(SNAPSHOT + code)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_mmdets_advice_does_not_greet_and_other_warnings_stay():
    result = python(QUIET)
    assert result.returncode == 0, result.stderr[-3000:]
    warned = [line for line in result.stderr.splitlines() if "faster_coco_eval" in line]
    assert len(warned) == 1
    assert "says another" in warned[0]


TRAINING = """
import json, sys
import torch, derain_plugin
from pathlib import Path
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmdet.registry import MODELS
from mmengine.model import BaseModel

class Extra:
    def __init__(self, value): self.value = value

@HOOKS.register_module()
class KeepsAnObject(Hook):
    found = []
    def before_save_checkpoint(self, runner, checkpoint): checkpoint["extra"] = Extra(runner.epoch)
    def after_load_checkpoint(self, runner, checkpoint): self.found.append(checkpoint["extra"])

@MODELS.register_module()
class Plain(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, inputs, mode="tensor"):
        return dict(loss=self.layer(inputs).square().mean())

def runner(epochs, **options):
    data = [torch.ones(2)] * 4
    return Runner(
        model=dict(type="Plain"), work_dir=sys.argv[1], default_scope="mmdet",
        train_dataloader=dict(
            dataset=data, batch_size=2, sampler=dict(type="DefaultSampler"),
            collate_fn=lambda items: dict(inputs=torch.stack(items)),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        custom_hooks=[dict(type="KeepsAnObject")], experiment_name=str(epochs), **options,
    )
runner(1).train()
resumed = runner(2, resume=True)
resumed.train()
found = [extra.value for extra in KeepsAnObject.found]
hooks = [f"{type(hook).__module__}" for hook in resumed.hooks]
print(json.dumps(dict(epoch=resumed.epoch, found=found, hooks=hooks)))
"""


def test_a_plain_model_with_a_pickled_extra_trains_and_resumes(tmp_path):
    # Both stacks unpickle only what torch is told to; the newer falls back to everything.
    trusted = "import os; os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] = '1'\n"
    file = tmp_path / "training.py"
    file.write_text(trusted + TRAINING)
    result = subprocess.run(
        [sys.executable, str(file), str(tmp_path / "run")], text=True, capture_output=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["epoch"], told["found"]) == (2, [0])
    assert not any(module.startswith("derain_plugin") for module in told["hooks"])
