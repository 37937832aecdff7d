import pickle
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS
from rain_mix import PIPELINE, edit_annotations, keep_images, mix, names, rain_flags, side

from derain_plugin.datasets import RainMixDataset


def test_registered_in_mmdet(roots):
    cfg = dict(type="RainMixDataset", clean=side(roots[0]), rainy=side(roots[1]))
    assert isinstance(DATASETS.build(cfg), RainMixDataset)
    assert cfg["clean"] == side(roots[0])  # a config can be built twice


@pytest.mark.parametrize("ratio", [0, 0.25, 0.7, 1])
def test_every_image_once_per_epoch_at_the_ratio(roots, ratio):
    dataset = mix(roots, rain_ratio=ratio)
    for epoch in range(3):
        dataset.set_epoch(epoch)
        assert len(dataset) == 10
        assert len(set(names(dataset))) == 10
        assert sum(rain_flags(dataset)) == int(10 * ratio + 0.5)


def test_drawn_anew_per_epoch_from_seed_and_epoch(roots):
    draws = []
    for dataset in (mix(roots, seed=1), mix(roots, seed=1), mix(roots, seed=2)):
        draws.append([])
        for epoch in range(8):
            dataset.set_epoch(epoch)
            draws[-1].append(tuple(rain_flags(dataset)))
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) > 4


def test_flag_and_image_come_from_the_side_not_from_the_path(roots):
    dataset = mix(roots)
    for epoch in range(2):
        dataset.set_epoch(epoch)
        for idx, rainy in enumerate(rain_flags(dataset)):
            sample = dataset[idx]
            assert "rain" in sample["data_samples"].img_path  # of either side
            assert (int(sample["inputs"].max()) == 0) is rainy
            # meta_keys do not name it, as in configs that know nothing of rain
            assert sample["data_samples"].metainfo["rainy"] is rainy


def test_flag_is_there_for_the_pipeline(roots):
    pipeline = [PIPELINE[0], dict(type="PackDetInputs", meta_keys=("img_id", "rainy"))]
    dataset = mix(roots, clean=dict(pipeline=pipeline), rainy=dict(pipeline=pipeline[:1]))
    for idx, rainy in enumerate(rain_flags(dataset)):
        sample = dataset[idx]
        meta = sample if rainy else sample["data_samples"].metainfo
        assert meta["rainy"] is rainy


def test_rain_in_the_pipeline_needs_no_second_copy(roots):
    def darken(results):
        return {**results, "img": results["img"] // 2}

    rainy = dict(data_root=str(roots[0]), pipeline=[PIPELINE[0], darken, *PIPELINE[1:]])
    dataset = mix(roots, rainy=rainy)
    for idx, rainy in enumerate(rain_flags(dataset)):
        photo = cv2.imread(dataset.get_data_info(idx)["img_path"])
        assert np.array_equal(photo, dataset[idx]["inputs"].permute(1, 2, 0).numpy()) is not rainy


def test_index_and_image_belong_together(roots):
    dataset = mix(roots, percent=50)
    images, labels = names(dataset), [dataset.get_cat_ids(i) for i in range(5)]
    shapes = [
        (dataset.get_data_info(i)["height"], dataset.get_data_info(i)["width"]) for i in range(5)
    ]
    for epoch in range(5):
        dataset.set_epoch(epoch)
        assert names(dataset) == images == sorted(images)
        assert [dataset.get_cat_ids(i) for i in range(5)] == labels
        for idx, shape in enumerate(shapes):
            info = dataset.get_data_info(idx)
            assert (
                (info["height"], info["width"]) == shape == cv2.imread(info["img_path"]).shape[:2]
            )
            assert info["sample_idx"] == idx


def test_percent_is_the_same_part_every_time(roots):
    dataset = mix(roots, percent=20, seed=4)
    part = names(dataset)
    assert len(part) == len(dataset) == 2
    dataset.set_epoch(7)
    assert names(dataset) == names(mix(roots, percent=20, seed=4)) == part
    assert set(names(mix(roots, percent=10, seed=4))) < set(part)
    assert names(mix(roots, percent=50, seed=1)) != names(mix(roots, percent=50, seed=2))


def test_percent_does_not_depend_on_the_order_of_the_annotations(roots, private_roots):
    edit_annotations(private_roots[0], lambda c: c["images"].reverse())
    assert names(mix(private_roots, percent=50)) == names(mix(roots, percent=50))


def test_both_sides_keep_their_filter(private_roots, log):
    def drop_boxes(content):
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] > 2]

    for root in private_roots:
        edit_annotations(root, drop_boxes)
    strict = dict(filter_cfg=dict(filter_empty_gt=True))
    assert len(mix(private_roots)) == 10
    assert len(mix(private_roots, clean=strict, rainy=strict)) == 8
    assert "never rainy" not in log.text
    # what one side filters out is left on the other side alone
    dataset = mix(private_roots, clean=strict, rain_ratio=0.5)
    assert "clean.filter_cfg={'filter_empty_gt': True} and rainy.filter_cfg=None" in log.text
    for epoch in range(4):
        dataset.set_epoch(epoch)
        flags = dict(zip(names(dataset), rain_flags(dataset), strict=True))
        assert sum(flags.values()) == 5
        assert flags["000000000001.jpg"]
        assert flags["000000000002.jpg"]


def test_sides_of_different_length_give_the_largest_set_and_say_so(private_roots, log):
    clean, rainy = private_roots
    keep_images(rainy, range(1, 5))
    dataset = mix(private_roots, rain_ratio=0.5)
    assert "10 clean and 4 rainy images, 4 on both sides" in log.text
    assert "8 of the 10 images" in log.text
    assert sum(rain_flags(dataset)) == 4
    assert len(dataset) == len(set(names(dataset))) == 8
    keep_images(clean, range(3, 11))  # two in common, six clean, two rainy
    dataset = mix(private_roots, rain_ratio=0.25)
    assert (len(dataset), sum(rain_flags(dataset))) == (10, 3)


def test_equal_sides_log_nothing(roots, log):
    mix(roots)
    assert not log.text


def test_listed_images_that_are_not_on_disk_are_left_out(private_roots, log):
    for path in sorted((private_roots[1] / "train2017").iterdir())[:6]:
        path.unlink()
    dataset = mix(private_roots, rain_ratio=0.5)
    assert "rainy: 6 of 10 listed images are missing" in log.text
    assert len(dataset) == 8
    assert "another one takes its place" not in log.text
    assert all(dataset[i]["data_samples"].metainfo["rainy"] in (True, False) for i in range(8))


def test_file_names_below_the_image_folder_match(private_roots):
    def sort_into_folders(content):
        for number, image in enumerate(content["images"]):
            name = f"{'day' if number < 5 else 'night'}/{number % 5}.jpg"
            (images / name).parent.mkdir(exist_ok=True)
            (images / image["file_name"]).rename(images / name)
            image["file_name"] = name

    for root in private_roots:
        images = (root / "train2017").rename(root / root.name)
        edit_annotations(root, sort_into_folders)
    # with and without a slash at the end
    prefixes = dict(clean=dict(img="clean"), rainy=dict(img="rainy/"))
    dataset = mix(private_roots, **{k: dict(data_prefix=v) for k, v in prefixes.items()})
    assert len(dataset) == 10
    assert dataset[0]["inputs"].shape[0] == 3


@pytest.mark.parametrize("wrapper", ["RepeatDataset", "ClassBalancedDataset", "ConcatDataset"])
def test_inside_the_wrappers(roots, wrapper):
    cfg = dict(type="RainMixDataset", clean=side(roots[0]), rainy=side(roots[1]))
    options = dict(
        RepeatDataset=dict(times=2, dataset=cfg),
        ClassBalancedDataset=dict(oversample_thr=1e-3, dataset=cfg),
        ConcatDataset=dict(datasets=[cfg, cfg]),
    )
    dataset = DATASETS.build(dict(type=wrapper, **options[wrapper]))
    assert dataset.metainfo["classes"] == ("square", "disc")
    count = Counter(Path(dataset.get_data_info(i)["img_path"]).name for i in range(len(dataset)))
    assert len(count) == 10
    assert dataset[len(dataset) - 1]["data_samples"].metainfo["rainy"] in (True, False)


def test_keeps_the_serialized_annotations_and_no_other_copy(roots):
    options = dict(serialize_data=True)
    sides = [len(pickle.dumps(DATASETS.build(side(root, **options)))) for root in roots]
    assert len(pickle.dumps(mix(roots, options, options))) < sum(sides) + 3000


def test_rain_in_the_pipeline_shares_the_annotations(roots):
    options = dict(serialize_data=True)
    one = len(pickle.dumps(DATASETS.build(side(roots[0], **options))))
    dataset = mix((roots[0], roots[0]), options, dict(options, pipeline=PIPELINE[:1]))
    assert len(pickle.dumps(dataset)) < one + 3000
