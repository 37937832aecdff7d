from pathlib import Path

import pytest
from small_photos import MIXED, NAMES, write_small_photos

from derain_plugin.rain.copies import make_rainy_copy


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, coco_root: Path) -> Path:
    """Twelve small photos; read-only for tests."""
    sources = sorted((coco_root / "val2017").glob("*.jpg"))
    return write_small_photos(tmp_path_factory.mktemp("photos"), sources)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """The copy that an uninterrupted run of one worker makes; read-only for tests."""
    out = tmp_path_factory.mktemp("reference") / "rainy"
    assert make_rainy_copy(photos, out, recipe=MIXED) == (len(NAMES), len(NAMES), {})
    return out
