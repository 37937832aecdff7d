"""Fixtures that the tests of the package and of its projects share."""

import gc
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read at import; nothing here may need a network
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from coco_folder import write_coco_folder
from mmdet.utils import register_all_modules
from mmengine.config import config as mmengine_config
from mmengine.registry import init_default_scope
from yapf.yapflib import yapf_api

import derain_plugin  # noqa: F401  registers our parts
from derain_plugin.engine.safety import install

register_all_modules(init_default_scope=True)
# Layers as small as most of ours only wait for each other on several threads.
torch.set_num_threads(1)
# Each Runner formats its config with yapf for the log, which takes longer than its training here.
yapf_api.FormatCode = mmengine_config.FormatCode = lambda text, **_: (text, True)


def pytest_collection_finish() -> None:
    """mmengine's datasets collect garbage, which takes long among so many imported modules."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed() -> None:
    """What a test draws does not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _mmdet_scope() -> None:
    """A Runner of an earlier test may have left its own scope current."""
    init_default_scope("mmdet")


@pytest.fixture
def installed() -> Iterator[None]:
    """Our way of reading checkpoints and writing files, as our commands put it in."""
    with install():
        yield


@pytest.fixture(scope="session")
def coco_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO-format folder of ten real photos, two classes; read-only for tests."""
    return write_coco_folder(tmp_path_factory.mktemp("coco"))
