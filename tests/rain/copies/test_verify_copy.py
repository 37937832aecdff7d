import json

import pytest
from folder_contents import contents

from derain_plugin.rain.copies import Recipe, make_rainy_copy, verify_copy


@pytest.fixture
def copy(photos, tmp_path):
    make_rainy_copy(photos / "streets", tmp_path / "rainy", recipe=Recipe())
    return tmp_path / "rainy"


def test_a_fresh_copy_is_good_and_nothing_is_written(copy):
    (copy / ".lock").unlink()
    before = contents(copy)
    assert verify_copy(copy, num_workers=2).is_good
    assert contents(copy) == before
    assert not (copy / ".lock").exists()


def test_finds_what_is_missing_altered_and_extra(copy):
    (copy / "1.JPG").unlink()
    (copy / "0.JPG").write_bytes((copy / "2.JPG").read_bytes())
    (copy / "night/photo_0.png").write_bytes((copy / "night/photo_0.png").read_bytes()[:-1])
    (copy / "night/new.png").touch()
    (copy / "2.JPG.partial").touch()
    verdict = verify_copy(copy)
    assert verdict.missing == ["1.JPG"]
    assert verdict.altered == ["0.JPG", "night/photo_0.png"]
    assert verdict.extra == ["2.JPG.partial", "night/new.png"]
    assert not verdict.is_good


def test_a_copy_that_is_not_complete_is_told(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(dict(manifest, complete=False)))
    with pytest.raises(ValueError, match="not complete: run the command"):
        verify_copy(copy)


def test_what_is_no_copy_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no manifest\.json"):
        verify_copy(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(ValueError, match="not the manifest of a rainy copy"):
        verify_copy(tmp_path)
