import json
import logging
import pickle
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from coco_folder import write_coco_folder
from mmdet.registry import DATASETS
from mmengine.logging import MMLogger

from derain_plugin.datasets import RainMixDataset

ANN_FILE = "annotations/instances_train2017.json"
PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path")),
]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Clean photos in a folder called rain, and a copy of black images; read-only."""
    tmp_path = tmp_path_factory.mktemp("mix")
    return write_coco_folder(tmp_path / "rain", size=48), _black_copy(tmp_path, tmp_path / "rain")


@pytest.fixture
def private_roots(tmp_path: Path, roots: tuple[Path, Path]) -> tuple[Path, Path]:
    """A copy of ``roots`` that a test may change."""
    for source, name in zip(roots, ("clean", "rainy"), strict=True):
        shutil.copytree(source, tmp_path / name)
    return tmp_path / "clean", tmp_path / "rainy"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture):
    """What mmengine logs, from warnings up."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        yield caplog
    logger.removeHandler(caplog.handler)


def _black_copy(tmp_path: Path, source: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    for path in (copy / "train2017").iterdir():
        cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path))))
    return copy


def side(root: Path, **options) -> dict:
    return dict(
        type="CocoDataset",
        data_root=str(root),
        ann_file=ANN_FILE,
        data_prefix=dict(img="train2017/"),
        metainfo=dict(classes=("square", "disc")),
        pipeline=PIPELINE,
        serialize_data=False,  # a garbage collection each, slow in a process with many modules
    ) | dict(options)


def mix(roots: tuple[Path, Path], clean: dict | None = None, rainy: dict | None = None, **options):
    return RainMixDataset(
        side(roots[0], **(clean or {})), side(roots[1], **(rainy or {})), **options
    )


def names(dataset: RainMixDataset) -> list[str]:
    return [Path(dataset.get_data_info(i)["img_path"]).name for i in range(len(dataset))]


def rain_flags(dataset: RainMixDataset) -> list[bool]:
    return [dataset.get_data_info(i)["rainy"] for i in range(len(dataset))]


def edit_annotations(root: Path, edit) -> None:
    path = root / ANN_FILE
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def keep_images(root: Path, ids: range) -> None:
    edit_annotations(
        root, lambda c: c.update(images=[image for image in c["images"] if image["id"] in ids])
    )


def test_registered_in_mmdet(roots):
    cfg = dict(type="RainMixDataset", clean=side(roots[0]), rainy=side(roots[1]))
    assert isinstance(DATASETS.build(cfg), RainMixDataset)
    assert cfg["clean"] == side(roots[0])  # a config can be built twice


@pytest.mark.parametrize("ratio", [0, 0.25, 0.7, 1])
def test_every_picture_once_per_epoch_at_the_ratio(roots, ratio):
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


def test_index_and_picture_belong_together(roots):
    dataset = mix(roots, percent=50)
    pictures, labels = names(dataset), [dataset.get_cat_ids(i) for i in range(5)]
    shapes = [
        (dataset.get_data_info(i)["height"], dataset.get_data_info(i)["width"]) for i in range(5)
    ]
    for epoch in range(5):
        dataset.set_epoch(epoch)
        assert names(dataset) == pictures == sorted(pictures)
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


def test_both_sides_keep_their_filter(private_roots):
    def drop_boxes(content):
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] > 2]

    for root in private_roots:
        edit_annotations(root, drop_boxes)
    strict = dict(filter_cfg=dict(filter_empty_gt=True))
    assert len(mix(private_roots)) == 10
    assert len(mix(private_roots, clean=strict, rainy=strict)) == 8
    # what one side filters out is left on the other side alone
    dataset = mix(private_roots, clean=strict, rain_ratio=0.5)
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
    assert "10 clean and 4 rainy pictures, 4 on both sides" in log.text
    assert "8 of the 10 pictures" in log.text
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


@pytest.mark.parametrize("content", [b"", b"not an image", None], ids=["empty", "text", "gone"])
@pytest.mark.parametrize("load", [{}, dict(imdecode_backend="pillow"), dict(ignore_empty=True)])
def test_bad_image_gives_another_sample_and_a_warning(private_roots, log, content, load):
    pipeline = [dict(type="LoadImageFromFile", **load), *PIPELINE[1:]]
    dataset = mix(private_roots, clean=dict(pipeline=pipeline), rainy=dict(pipeline=pipeline))
    idx = rain_flags(dataset).index(True)
    bad = Path(dataset.get_data_info(idx)["img_path"])
    bad.unlink() if content is None else bad.write_bytes(content)
    replacements = {dataset[idx]["data_samples"].img_path for _ in range(20)}
    assert str(bad) not in replacements
    assert len(replacements) > 1
    assert all(dataset[idx]["data_samples"].metainfo["rainy"] for _ in range(20))
    assert f"cannot read image {str(bad)!r}" in log.text


def test_only_bad_images_on_a_side_is_an_error(private_roots):
    dataset = mix(private_roots, rainy=dict(max_refetch=3))
    for path in (private_roots[1] / "train2017").iterdir():
        path.write_bytes(b"")
    flags = rain_flags(dataset)
    assert dataset[flags.index(False)] is not None
    with pytest.raises(RuntimeError, match=r"no usable rainy image in 4 tries.*\.jpg"):
        dataset[flags.index(True)]


class RejectOnce:
    """Returns None for the first sample, as a random crop without boxes may."""

    seen = 0

    def __call__(self, results):
        self.seen += 1
        return None if self.seen == 1 else results


def test_rejected_sample_is_fetched_again_silently(roots, log):
    pipeline = [PIPELINE[0], RejectOnce(), *PIPELINE[1:]]
    dataset = mix(roots, clean=dict(pipeline=pipeline), rain_ratio=0)
    assert dataset[0] is not None
    assert not log.text


def test_an_error_of_the_pipeline_is_not_blamed_on_the_image(roots):
    def fail(results):
        raise KeyError("a bug")

    dataset = mix(roots, clean=dict(pipeline=[PIPELINE[0], fail]), rain_ratio=0)
    with pytest.raises(KeyError, match="a bug"):
        dataset[0]


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


def test_different_classes_name_both(roots):
    with pytest.raises(ValueError, match=r"clean \('square', 'disc'\), rainy \('disc', 'square'\)"):
        mix(roots, rainy=dict(metainfo=dict(classes=("disc", "square"))))


NO_ROOT = dict(data_root="/none")
NO_FOLDER = dict(data_prefix=dict(img="x/"))
WRONG_FOLDER = dict(data_prefix=dict(img="annotations"))
TOO_SMALL = dict(filter_cfg=dict(min_size=999))


@pytest.mark.parametrize("name", ["clean", "rainy"])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (NO_ROOT, FileNotFoundError, r"file '/none/.*set {0}\.data_root or {0}\.ann_file"),
        (dict(ann_file="x.json"), FileNotFoundError, r"file '.*x\.json'.*{0}\.ann_file"),
        (NO_FOLDER, FileNotFoundError, r"folder '.*x/'.*{0}\.data_prefix\.img"),
        (WRONG_FOLDER, FileNotFoundError, r"10 of 10 listed images are missing.*{0}\.data_root"),
        (TOO_SMALL, ValueError, r"no image.*left with.*'min_size': 999"),
        ({**TOO_SMALL, "serialize_data": True}, ValueError, r"no image.*left"),
        (dict(test_mode=True), ValueError, "test_mode must be False"),
    ],
)
def test_bad_side(roots, name, options, error, message):
    with pytest.raises(error, match=f"^{name}.*" + message.format(name)):
        mix(roots, **{name: options})


def test_a_side_that_is_no_dataset_config(roots):
    with pytest.raises(TypeError, match="rainy must be the config dict of a dataset, got None"):
        RainMixDataset(side(roots[0]), None)
    wrapped = dict(type="RepeatDataset", times=2, dataset=side(roots[1]))
    with pytest.raises(TypeError, match=r"rainy must be a dataset derived from.*Repeat"):
        RainMixDataset(side(roots[0]), wrapped)


def test_broken_annotations_are_not_called_empty(private_roots):
    (private_roots[0] / ANN_FILE).write_text("{")
    with pytest.raises(json.JSONDecodeError):
        mix(private_roots)


def test_no_file_name_in_common(private_roots):
    keep_images(private_roots[0], range(1, 4))
    keep_images(private_roots[1], range(4, 9))
    with pytest.raises(ValueError, match=r"no file name in common.*'0+1\.jpg', rainy '0+4\.jpg'"):
        mix(private_roots)


def test_file_listed_twice(private_roots):
    edit_annotations(private_roots[1], lambda c: c["images"].append({**c["images"][0], "id": 99}))
    with pytest.raises(ValueError, match=r"rainy: '0+1\.jpg' is listed twice"):
        mix(private_roots)


@pytest.mark.parametrize(
    ("options", "error"), [(dict(rain_ratio=7), ValueError), (dict(seed=None), TypeError)]
)
def test_bad_options_fail_before_the_annotations_load(tmp_path, options, error):
    with pytest.raises(error, match=next(iter(options))):
        mix((tmp_path, tmp_path), **options)


def test_negative_epoch(roots):
    with pytest.raises(ValueError, match="epoch must not be negative, got -1"):
        mix(roots).set_epoch(-1)
