import logging
import shutil
from pathlib import Path

import pytest
from coco_folder import write_coco_folder
from mmengine.logging import MMLogger
from rain_mix import black_copy


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Clean photos in a folder called rain, and a copy of black images; read-only."""
    tmp_path = tmp_path_factory.mktemp("mix")
    return write_coco_folder(tmp_path / "rain", size=48), black_copy(tmp_path, tmp_path / "rain")


@pytest.fixture
def private_roots(tmp_path: Path, roots: tuple[Path, Path]) -> tuple[Path, Path]:
    """A copy of ``roots`` that a test may change."""
    for source, name in zip(roots, ("clean", "rainy"), strict=True):
        shutil.copytree(source, tmp_path / name)
    return tmp_path / "clean", tmp_path / "rainy"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture):
    """What mmengine logs."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, logger.name):
        yield caplog
    logger.removeHandler(caplog.handler)
