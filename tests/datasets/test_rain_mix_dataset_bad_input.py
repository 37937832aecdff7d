import json
from pathlib import Path

import pytest
from rain_mix import (
    ANN_FILE,
    PIPELINE,
    edit_annotations,
    keep_images,
    mix,
    rain_flags,
    side,
)

from derain_plugin.datasets import RainMixDataset


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


@pytest.mark.parametrize("spelled", ["absolute", "up"])
def test_a_file_name_that_leads_both_sides_to_the_clean_image_is_refused(private_roots, spelled):
    folder = private_roots[0] / "train2017"
    first = sorted(folder.iterdir())[0].name
    name = dict(absolute=f"{folder}/{first}", up=f"../../{folder.parent.name}/train2017/{first}")
    for root in private_roots:
        edit_annotations(root, lambda c: c["images"][0].update(file_name=name[spelled]))
    with pytest.raises(ValueError, match=r"both the clean and the rainy.*relative to that folder"):
        mix(private_roots)
    dataset = mix((private_roots[0], private_roots[0]))  # of rain rendered while loading
    assert len(dataset) == 10


def test_names_that_mean_one_file_are_one_name(private_roots):
    def rename(to):
        return lambda c: c["images"][to].update(file_name=f"./{c['images'][0]['file_name']}")

    edit_annotations(private_roots[0], rename(0))
    assert len(mix(private_roots, rain_ratio=0.5)) == 10
    edit_annotations(private_roots[1], rename(1))
    with pytest.raises(ValueError, match="is listed twice"):
        mix(private_roots)
