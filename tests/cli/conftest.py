"""A tiny child of the shipped multi-scale config, weights for it, and its settings."""

from pathlib import Path

import pytest
from mmdet.visualization import DetLocalVisualizer
from mmengine.visualization import Visualizer
from tiny_rtdetr import TINY, transformers_twin

CONFIGS = Path(__file__).parents[2] / "configs"
TINY_TEXT = ", ".join(f"{key}={value!r}" for key, value in TINY.items())
CHILD = """
_base_ = {base!r}
model = dict(
    data_preprocessor=dict(batch_augments=[dict(type="BatchRandomResize", sizes=[64, 96])]),
    backbone=dict({tiny}),
    neck=dict(derain=dict(in_channels=[16, 24, 32]), neck=dict({tiny})),
    bbox_head=dict({tiny}),
)
train_cfg = dict(max_epochs=2)
custom_hooks = [
    dict(
        type="PhasedTrainingHook",
        phases=[
            dict(name="derain", epochs=(1, 1), lr={{"neck.derain": 5e-4}}),
            dict(name="joint", epochs=(2, 2), lr={{"neck.derain": 1e-4, "*": 1e-5}}),
        ],
    ),
]
train_dataloader = dict(batch_size=4, num_workers=0)
val_dataloader = dict(batch_size=4, num_workers=0)
test_dataloader = dict(batch_size=4, num_workers=0)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture(scope="module", autouse=True)
def _own_visualizer():
    """Forget the process's visualizer, which would log to the folder of an earlier module."""
    DetLocalVisualizer._instance_dict.clear()
    Visualizer._instance_dict.clear()


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    transformers_twin(num_classes=80, **TINY).save_pretrained(folder)
    return f"hf://{folder}"


@pytest.fixture(scope="session")
def two_class_weights(tmp_path_factory):
    """What fits the classes of ``settings``."""
    folder = tmp_path_factory.mktemp("two_class_weights")
    transformers_twin(num_classes=2, **TINY).save_pretrained(folder)
    return f"hf://{folder}"


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny_featderain.py"
    base = str(CONFIGS / "rtdetr_r18_featderain_ms.py")
    path.write_text(CHILD.format(base=base, tiny=TINY_TEXT))
    return str(path)


@pytest.fixture(scope="session")
def settings(coco_root):
    return [f"data_root={coco_root}", "classes=square,disc", "synthetic_rain=3"]
