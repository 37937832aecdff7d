from pathlib import Path

import pytest
from small_detectors import KINDS, frozen, write_photos

from derain_plugin.adapting.frozen_detector import FrozenDetector


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six small photos; read-only for tests."""
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module", params=KINDS)
def detector(request: pytest.FixtureRequest) -> FrozenDetector:
    """A frozen detector of each kind, with a fresh neck."""
    return frozen(request.param)
