"""The lazy steps against mmdet's own, in sequence, from the same state of the generators."""

import random

import cv2
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import Compose
from scipy.stats import ks_2samp

from derain_plugin.datasets.transforms import LazyExpand, LazyRandomFlip, RainTwin, WarpResize
from derain_plugin.datasets.transforms.lazy_canvas import LazyCanvas

SIZE = (96, 80)
OURS = {
    "Expand": "LazyExpand",
    "MinIoURandomCrop": "LazyMinIoURandomCrop",
    "RandomFlip": "LazyRandomFlip",
    "Resize": "WarpResize",
}
STEPS = [
    dict(type="Expand", mean=[0, 0, 0], to_rgb=False, ratio_range=(1, 4), prob=0.5),
    dict(type="RandomApply", transforms=[dict(type="MinIoURandomCrop")], prob=0.8),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Resize", scale=SIZE, keep_ratio=False),
]

MMDETS_CROP = dict(type="RandomCrop", crop_size=(30, 30), allow_negative_crop=True)


def ours_of(steps):
    """The same steps by their lazy names."""
    return [
        dict(step, transforms=ours_of(step["transforms"]))
        if "transforms" in step
        else dict(step, type=OURS.get(step["type"], step["type"]))
        for step in steps
    ]


def smooth(height, width, channels=3, seed=0):
    """An image with the gradients of a photo, not those of noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, channels), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def sample(seed, image=None, masks=False):
    rng = np.random.default_rng(seed)
    if image is None:
        image = smooth(*rng.integers(40, 120, 2), seed=seed)
    height, width = image.shape[:2]
    count = rng.integers(1, 7)
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1) * [width, height]
    found = dict(
        img=image,
        img_shape=(height, width),
        ori_shape=(height, width),
        gt_bboxes=HorizontalBoxes(corners.reshape(count, 4).astype(np.float32)),
        gt_bboxes_labels=rng.integers(0, 9, count),
        gt_ignore_flags=rng.random(count) < 0.2,
    )
    if masks:
        labels = rng.integers(0, 2, (count, height, width), dtype=np.uint8)
        found["gt_masks"] = BitmapMasks(labels, height, width)
        found["gt_seg_map"] = labels[0]
    return found


def apply(pipeline, results, seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    results = pipeline(results)
    return results, (random.random(), np.random.rand())  # noqa: NPY002


@pytest.fixture(scope="module")
def pipelines():
    return Compose(STEPS), Compose(ours_of(STEPS))


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_draws_boxes_and_shapes_are_mmdets(pipelines, first):
    for seed in range(first, first + 50):
        (theirs, after), (ours, ours_after) = (apply(p, sample(seed), seed) for p in pipelines)
        assert ours_after == after
        assert ours["gt_bboxes"].tensor.equal(theirs["gt_bboxes"].tensor)
        for key in ("gt_bboxes_labels", "gt_ignore_flags"):
            assert np.array_equal(ours[key], theirs[key])
        keys = ("img_shape", "scale", "scale_factor", "keep_ratio", "flip", "flip_direction")
        assert [ours[key] for key in keys] == [theirs[key] for key in keys]
        assert np.array_equal(ours["homography_matrix"], theirs["homography_matrix"])


def test_pixels_are_mmdets(pipelines):
    """To the bit without an expansion; with one the warp may round the other way."""
    expanded = 0
    for seed in range(60):
        (theirs, _), (ours, _) = (apply(p, sample(seed), seed) for p in pipelines)
        assert ours["img"].dtype == np.uint8
        difference = np.abs(ours["img"].astype(int) - theirs["img"])
        np.random.seed(seed)  # noqa: NPY002
        if np.random.uniform() > 0.5:  # noqa: NPY002
            assert not difference.any()
        else:
            expanded += 1
            assert difference.mean() < 0.3
            assert np.percentile(difference, 99) <= 3
    assert expanded > 20


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
@pytest.mark.parametrize("crop", [(0, 0, 200, 150), (30, 20, 130, 100), (70, 50, 100, 70)])
def test_a_canvas_is_the_array_that_it_stands_for(direction, crop):
    """Partly outside, all around, and inside the image, in which case it is a plain array."""
    lazy = LazyCanvas(smooth(40, 60), shape=(150, 200), left=60, top=40, fill=(7, 8, 9))
    full = np.asarray(lazy)
    left, top, right, bottom = crop
    part = lazy.crop(*crop)
    assert np.array_equal(part, full[top:bottom, left:right])
    assert isinstance(part, np.ndarray) == (crop[0] == 70)
    if isinstance(part, LazyCanvas):
        expected = full[top:bottom, left:right]
        if direction != "vertical":
            expected = expected[:, ::-1]
        if direction != "horizontal":
            expected = expected[::-1]
        assert np.array_equal(part.flip(direction), expected)


@pytest.mark.parametrize("size", [(50, 38), (200, 150), (331, 77)])
@pytest.mark.parametrize(
    "crop", [(0, 0, 200, 150), (30, 20, 90, 100), (70, 50, 180, 140), (0, 0, 50, 30)]
)
def test_resizes_as_opencv_resizes_the_filled_canvas(crop, size):
    """Borders included, of the canvas and of the image upon it, and where no image is left."""
    part = LazyCanvas(smooth(40, 60), shape=(150, 200), left=60, top=40, fill=99).crop(*crop)
    expected = cv2.resize(np.asarray(part), size).astype(int)
    difference = np.abs(part.resize(size) - expected)
    assert difference.mean() < 0.2
    assert difference.max() <= 8  # coordinates in 1/32 of a pixel, on an edge of 150 levels


@pytest.mark.parametrize(
    "steps",
    [
        [dict(STEPS[0], mean=[1, 2, 3], prob=1.0), *STEPS[1:]],
        [*STEPS[:3], dict(STEPS[3], keep_ratio=True)],
        [*STEPS[:3], dict(type="Resize", scale_factor=0.7)],
        [*STEPS[:3], dict(STEPS[3], interpolation="nearest")],
        [*STEPS[:3], dict(STEPS[3], backend="pillow")],
        [STEPS[0], MMDETS_CROP, *STEPS[1:]],
        [STEPS[2], dict(STEPS[0], prob=1.0), STEPS[0], STEPS[3]],
        [dict(STEPS[0], prob=1.0), dict(STEPS[1], prob=1.0), dict(STEPS[0], prob=1.0), STEPS[3]],
        [
            dict(
                type="RandomFlip",
                prob=[0.3, 0.3, 0.3],
                direction=["horizontal", "vertical", "diagonal"],
            ),
            *STEPS,
        ],
    ],
    ids=[
        "colour",
        "keep_ratio",
        "factor",
        "nearest",
        "pillow",
        "mmdets_crop",
        "twice",
        "crop_between",
        "flips",
    ],
)
def test_other_options_and_orders(steps):
    theirs, ours = Compose(steps), Compose(ours_of(steps))
    for seed in range(20):
        (expected, after), (found, found_after) = (
            apply(pipeline, sample(seed), seed) for pipeline in (theirs, ours)
        )
        assert found_after == after
        assert found["gt_bboxes"].tensor.equal(expected["gt_bboxes"].tensor)
        assert found["scale_factor"] == expected["scale_factor"]
        assert np.abs(found["img"].astype(int) - expected["img"]).mean() < 0.3


def test_masks_and_segmentation_follow(pipelines):
    steps = [dict(STEPS[0], seg_ignore_label=255), *STEPS[1:]]
    for seed in range(20):
        (theirs, _), (ours, _) = (
            apply(Compose(way(steps)), sample(seed, masks=True), seed) for way in (list, ours_of)
        )
        assert np.array_equal(ours["gt_masks"].masks, theirs["gt_masks"].masks)
        assert np.array_equal(ours["gt_seg_map"], theirs["gt_seg_map"])


def test_without_boxes(pipelines):
    for seed in range(20):
        empty = dict(gt_bboxes=HorizontalBoxes(np.zeros((0, 4), np.float32)))
        empty |= dict(gt_bboxes_labels=np.zeros(0, int), gt_ignore_flags=np.zeros(0, bool))
        (theirs, after), (ours, ours_after) = (
            apply(p, dict(sample(seed), **empty), seed) for p in pipelines
        )
        assert ours_after == after
        assert ours["scale_factor"] == theirs["scale_factor"]


def test_twins_share_the_geometry():
    """Seven channels to the bit as each image alone."""
    pipeline = Compose(ours_of(STEPS))
    image = smooth(60, 90)
    for seed in range(20):
        twin = RainTwin(severity=4, seed=0)(dict(sample(seed, image), img_id=3))["img"]
        (together, _) = apply(pipeline, sample(seed, twin), seed)
        for channels in ([0, 1, 2], [3, 4, 5], [6, 6, 6]):
            alone, _ = apply(
                pipeline, sample(seed, np.ascontiguousarray(twin[..., channels])), seed
            )
            assert np.array_equal(together["img"][..., channels], alone["img"])
            assert together["gt_bboxes"].tensor.equal(alone["gt_bboxes"].tensor)


def test_packs_without_another_copy():
    resized = WarpResize(scale=SIZE)(sample(0))
    packed = TRANSFORMS.build(dict(type="PackDetInputs", meta_keys=()))(resized)["inputs"]
    assert packed.shape == (3, SIZE[1], SIZE[0])
    assert packed.is_contiguous()
    assert np.shares_memory(packed.numpy(), resized["img"])


def test_keeps_the_loaded_image():
    image = smooth(40, 60)
    before = image.copy()
    for seed in range(10):
        apply(Compose(ours_of(STEPS)), sample(seed, image), seed)
    assert np.array_equal(image, before)


def test_a_colour_needs_the_channels_of_the_image():
    step = LazyExpand(mean=[1, 2, 3], to_rgb=False, prob=1.0)
    with pytest.raises(ValueError, match=r"mean=\[1, 2, 3\].* has 7, or equal values"):
        step(sample(0, smooth(40, 60, 7)))


def test_what_opencv_gets_is_no_canvas():
    """It fails rather than see another image than the boxes are of."""
    expanded = LazyExpand(prob=1.0)(sample(0))
    with pytest.raises(cv2.error, match="not a numpy array"):
        TRANSFORMS.build(dict(type="Resize", scale=SIZE))(expanded)


def test_flips_a_plain_image_at_once():
    flipped = LazyRandomFlip(prob=1.0)(sample(0))
    assert np.array_equal(flipped["img"], sample(0)["img"][:, ::-1])


def figures(results):
    boxes = results["gt_bboxes"]
    width, height = results["scale_factor"]
    return (
        len(boxes),
        width,
        height,
        results["flip"],
        *boxes.centers[0].tolist(),
        float(boxes.widths[0] / boxes.heights[0]),
        float(boxes.areas.sqrt().mean()),
    )


@pytest.mark.slow
def test_distributions_are_mmdets_over_ten_thousand_draws(pipelines):
    """Kept boxes, scales, flips, centres and aspect ratios; of draws that share no seed."""
    image = smooth(48, 64)
    drawn = [
        np.array([figures(apply(p, sample(seed, image), start + seed)[0]) for seed in range(10000)])
        for p, start in zip(pipelines, (0, 10000), strict=True)
    ]
    for theirs, ours in zip(drawn[0].T, drawn[1].T, strict=True):
        assert ks_2samp(theirs, ours).pvalue > 0.001
