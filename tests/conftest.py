"""Fixtures that every test folder shares."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read at import; nothing here may need a network

from pathlib import Path

import pytest
from coco_folder import write_coco_folder
from mmdet.utils import register_all_modules
from mmengine.registry import init_default_scope

import derain_plugin  # noqa: F401  registers our parts

register_all_modules(init_default_scope=True)


@pytest.fixture(autouse=True)
def _mmdet_scope() -> None:
    """A Runner of an earlier test may have left its own scope current."""
    init_default_scope("mmdet")


@pytest.fixture(scope="session")
def coco_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO-format folder of ten real photos, two classes; read-only for tests."""
    return write_coco_folder(tmp_path_factory.mktemp("coco"))
