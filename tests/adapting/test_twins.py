"""Photos twice, in rain and clean, in an order that a resumed run finds again."""

from collections import Counter

import cv2
import numpy as np
import pytest

from derain_plugin.adapting import twins as module
from derain_plugin.adapting.photos import find_photos, look_like_bad_weather
from derain_plugin.adapting.twins import RainyTwins, RoundSampler, split_held_out
from derain_plugin.rain import render_rain


def twins(photos, **options) -> RainyTwins:
    made = RainyTwins(photos, lambda image: image, **{"num_samples": 60, **options})
    made.set_run_seed(0)
    return made


def test_twins_are_one_photo_with_and_without_rain(photos):
    made = twins(photos, clean_share=0.5)
    samples = [made[index] for index in range(60)]
    clean = [np.array_equal(sample["rainy"], sample["clean"]) for sample in samples]
    assert clean == [sample["severity"] == 0 for sample in samples]
    assert 15 < sum(clean) < 45
    assert {sample["severity"] for sample in samples} == set(range(6))
    originals = {p: cv2.imread(str(p)) for p in photos}
    flipped = sum(
        not any(np.array_equal(sample["clean"], image) for image in originals.values())
        for sample in samples
    )
    assert 15 < flipped < 45


def test_a_photo_is_read_and_rained_on_once_per_use(photos, monkeypatch):
    counts = Counter()

    def count(name, function):
        def counted(*args, **options):
            counts[name] += 1
            return function(*args, **options)

        return counted

    monkeypatch.setattr(module, "read_image", count("read", module.read_image))
    made = twins(photos, renderer=count("rained", render_rain), clean_share=0.5)
    severities = [made[index]["severity"] for index in range(20)]
    assert counts == dict(read=20, rained=sum(map(bool, severities)))


def test_each_pass_has_every_photo_once_in_another_order(photos):
    made = twins(photos)
    passes = [[made._photo(index) for index in range(6 * n, 6 * n + 6)] for n in range(3)]
    assert all(Counter(each) == Counter(photos) for each in passes)
    assert passes[0] != passes[1]


def test_samples_follow_from_seed_round_and_number(photos):
    first, second = twins(photos), twins(photos)
    assert np.array_equal(first[7]["rainy"], second[7]["rainy"])
    second.set_epoch(1)
    different = [not np.array_equal(first[i]["rainy"], second[i]["rainy"]) for i in range(6)]
    assert any(different)


def test_a_renderer_of_ones_own_and_what_is_out_of_range(photos):
    white = twins(photos, clean_share=0, renderer=lambda image, severity, *, seed: image * 0 + 255)
    assert (white[0]["rainy"] == 255).all()
    with pytest.raises(ValueError, match="clean_share must be in 0-1, got 2"):
        twins(photos, clean_share=2)
    with pytest.raises(ValueError, match="at least one photo"):
        twins([])


def test_colours_of_both_are_distorted_alike(photos):
    """And not always in the same way."""
    options = dict(clean_share=0.0, renderer=lambda image, severity, *, seed: image)
    plain, distorted = (twins(photos, distort=each, **options) for each in (False, True))
    changes = set()
    for index in range(20):
        sample, whole = distorted[index], plain[index]["clean"]
        assert np.array_equal(sample["rainy"], sample["clean"])
        assert sample["clean"].shape == whole.shape
        assert sample["severity"] == plain[index]["severity"] > 0
        changes.add(round(float(sample["clean"].mean()) - float(whole.mean())))
    assert len(changes) > 5


def test_rounds_cover_all_samples_once():
    sampler, seen = RoundSampler(23, 10), []
    for number in range(sampler.num_rounds):
        sampler.set_epoch(number)
        assert len(sampler) == len(list(sampler))
        seen += sampler
    assert seen == list(range(23))


def test_held_out_photos_are_others(photos):
    training, held_out = split_held_out(photos, share=0.3)
    assert len(held_out) == 2
    assert sorted(training + held_out) == photos
    assert split_held_out(photos, share=0.3) == (training, held_out)
    assert len(split_held_out(photos, share=0.9, most=1)[1]) == 1
    with pytest.raises(ValueError, match="at least 2 photos"):
        split_held_out(photos[:1])


def test_photos_of_folders_globs_and_files_once_each(photos):
    folder = photos[0].parent
    assert find_photos([folder]).paths == photos
    assert find_photos([f"{folder}/*.png", str(photos[0]), folder]).paths == photos


def test_photos_of_a_coco_file(coco_root):
    listed = find_photos([coco_root / "annotations/instances_val2017.json"]).paths
    assert listed == find_photos([coco_root / "val2017"]).paths
    with pytest.raises(FileNotFoundError, match=r"nowhere.json is not there, or none of its"):
        find_photos([coco_root / "nowhere.json"])


def test_what_cannot_be_read_is_skipped_and_none_left_is_an_error(photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"none of 1 photos can be read.*broken.jpg: not an image"):
        find_photos([tmp_path])
    found = find_photos([tmp_path, photos[0]])
    assert (found.paths, list(found.skipped)) == (photos[:1], [tmp_path / "broken.jpg"])
    with pytest.raises(FileNotFoundError, match=r"nowhere/\*.jpg is no folder, file or glob"):
        find_photos(["nowhere/*.jpg"])


def test_haze_looks_like_bad_weather(photos, tmp_path):
    assert not look_like_bad_weather(photos)
    hazy = tmp_path / "hazy.png"
    cv2.imwrite(str(hazy), np.full((50, 70, 3), (150, 155, 150), np.uint8))
    assert look_like_bad_weather([hazy])
