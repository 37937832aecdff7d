"""Which photographs are for what."""

import json

import pytest
from photo_folder import CAR_BOX, write_photo_folder

from projects.study.real.photographs import HIGHWAY_TRAIN, SETS, WEIGHTS, Photographs


@pytest.fixture
def photos(tmp_path):
    root = write_photo_folder(tmp_path / "data")
    (root / WEIGHTS).parent.mkdir()
    (root / WEIGHTS).write_bytes(b"weights")
    return Photographs(root, tmp_path / "labels")


def test_what_is_missing_is_named(photos):
    photos.check()
    (photos.data / WEIGHTS).unlink()
    (photos.data / HIGHWAY_TRAIN).unlink()
    with pytest.raises(
        FileNotFoundError, match=f"lacks {HIGHWAY_TRAIN}, {WEIGHTS}: docs/real_rain"
    ):
        photos.check()


def test_fog_is_split_by_name_and_labels_become_cocos(photos):
    photos.convert()
    by_set = {each.name: json.loads(photos.annotations(each).read_text()) for each in SETS}
    files = {
        name: [image["file_name"] for image in content["images"]]
        for name, content in by_set.items()
    }
    assert files["fog_selection"] == ["fog-000.png", "fog-002.png"]
    assert files["fog_report"] == ["fog-001.png", "fog-003.png"]
    assert files["rain"] == ["rain-000.png", "rain-001.png"]
    assert [path.name for path in photos.fog_targets()] == files["fog_selection"]
    x1, y1, x2, y2 = CAR_BOX
    for name in ("fog_selection", "fog_report", "rain"):
        assert len(by_set[name]["annotations"]) == 2
        ids = {image["id"] for image in by_set[name]["images"]}
        for annotation in by_set[name]["annotations"]:
            assert annotation["image_id"] in ids
            assert annotation["category_id"] == 3
            assert annotation["bbox"] == [x1, y1, x2 - x1, y2 - y1]


def test_only_sets_that_are_reported_are_of_dawns_kept_photos():
    assert [each.name for each in SETS if each.is_reported] == ["rain", "fog_report"]


def test_training_photos_are_no_test_photos(photos):
    training = photos.training(["clear_traffic", "highway"])
    assert [path.parent.name for path in training] == ["images", "images", "train", "train"]


def test_other_photos_or_weights_are_other_settings(photos):
    def identity():
        return Photographs(photos.data, photos.folder).identity

    first = identity()
    assert identity() == first
    (photos.data / WEIGHTS).write_bytes(b"others")
    second = identity()
    photo = photos.training(["clear_traffic"])[0]
    photo.write_bytes(photo.read_bytes() + b" ")
    assert len({first, second, identity()}) == 3
