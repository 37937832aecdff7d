"""Fixtures that every test folder shares."""

from pathlib import Path

import pytest
from coco_folder import write_coco_folder

import derain_plugin  # noqa: F401  registers everything


@pytest.fixture(scope="session")
def coco_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO-format folder of ten real photos, two classes; read-only for tests."""
    return write_coco_folder(tmp_path_factory.mktemp("coco"))
