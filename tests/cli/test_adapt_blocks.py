"""Early blocks, and detectors without a neck, through the commands that take an adapter."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_detectors import SIZE, model_of, write_photos
from test_adapt import QUICK, YOLOX, run

from derain_plugin.adapting.adapter_file import CONFIG
from derain_plugin.cli import adapt, infer
from derain_plugin.cli import test as test_cli
from derain_plugin.evaluation.saved_predictions import load_predictions

SINGLE_MAP = f"""
_base_ = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
model = dict(
    backbone=dict(init_cfg=None, out_indices=(3,)),
    neck=None,
    bbox_head=dict(
        in_channels=512, feat_channels=16, stacked_convs=1, num_classes=2,
        anchor_generator=dict(strides=[32]),
    ),
)
test_dataloader = dict(
    dataset=dict(
        metainfo=dict(classes=("square", "disc")),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale={SIZE}, keep_ratio=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    )
)
"""
DETECTORS = dict(
    yolox=(YOLOX, ["--early", "stage1", "stem"]),
    single_map=(SINGLE_MAP, ["--early", "layer1", "--no-filter"]),
)


@pytest.fixture(scope="module", params=DETECTORS)
def adapted(request, tmp_path_factory) -> tuple[Path, list[Path], str]:
    """A folder with a detector, its adapter and the merged one; its words; what was said."""
    root = tmp_path_factory.mktemp(request.param)
    config, options = DETECTORS[request.param]
    (root / "config.py").write_text(config)
    torch.save(dict(state_dict=model_of(request.param).state_dict()), root / "weights.pth")
    photos = write_photos(root / "photos")
    words = [root / "config.py", root / "weights.pth"]
    said = run(adapt, [*words, photos[0].parent, "--out", root / "adapter", *QUICK, *options])
    merge = [*words, "--adapter", root / "adapter", "--out", root / "merged", "--device", "cpu"]
    run(adapt, ["merge", *merge])
    return root, words, said


def both(adapted) -> list[list[Path | str]]:
    root, words, _ = adapted
    merged = [root / "merged/config.py", root / "merged/checkpoint.pth"]
    return [[*words, "--adapter", root / "adapter"], merged]


def test_it_says_where_the_blocks_are(adapted):
    root, _, said = adapted
    config = json.loads((root / "adapter" / CONFIG).read_text())
    early, has_filter = config["early"], "--no-filter" not in DETECTORS[root.name[:-1]][1]
    places = ", ".join(early["places"])
    assert places in ("stem, stage1", "layer1")  # in the order in which they run
    assert f"early:     blocks inside the backbone, after {places}; " in said
    assert ("filter:    haze and contrast of each image" in said) == has_filter
    assert ("image_filter" in config) == config["training"]["image_filter"] == has_filter
    assert "bitwise unchanged" in said


def test_merged_it_infers_as_with_its_adapter(adapted, tmp_path):
    root, found = adapted[0], []
    for number, (config, checkpoint, *adapter) in enumerate(both(adapted)):
        file = tmp_path / f"{number}.json"
        seen = ["--out-dir", tmp_path / str(number), "--json", file, "--score-thr", "0"]
        photo = root / "photos/0.png"
        run(infer, [config, checkpoint, photo, *adapter, *seen, "--device", "cpu"])
        found.append(json.loads(file.read_text())["annotations"])
    assert found[0] == found[1]
    assert found[0]


@pytest.mark.parametrize(
    "adapted", ["yolox", pytest.param("single_map", marks=pytest.mark.slow)], indirect=True
)
def test_tested_with_an_adapter_it_is_the_merged_detector(adapted, coco_root, tmp_path):
    """Also under the EMAHook of YOLOX's config, which swaps weights."""
    found = []
    for number, words in enumerate([*both(adapted), adapted[1]]):
        data, labels = "test_dataloader.dataset.", "annotations/instances_val2017.json"
        options = [
            f"{data}data_root={coco_root}/",
            f"{data}ann_file={labels}",
            f"{data}data_prefix.img=val2017/",
            f"test_evaluator.ann_file={coco_root}/{labels}",
            "test_dataloader.num_workers=0",
            "model.test_cfg.score_thr=0",
        ]
        file = tmp_path / f"{number}.pkl"
        work = ["--work-dir", tmp_path / "work", "--out", file, "--cfg-options", *options]
        test_cli.main([str(word) for word in [*words, *work]])
        (predictions,) = load_predictions(file).values()
        found.append(predictions)
    by_adapter, by_merged, plain = found
    np.testing.assert_array_equal(by_adapter.boxes, by_merged.boxes)
    np.testing.assert_array_equal(by_adapter.scores, by_merged.scores)
    assert (
        by_adapter.scores.shape != plain.scores.shape or (by_adapter.scores != plain.scores).any()
    )


def test_a_module_that_is_not_there_is_refused_before_any_work(adapted, tmp_path):
    words = [*adapted[1], "nowhere", "--out", tmp_path / "out", *QUICK, "--early", "neck"]
    with pytest.raises(SystemExit, match=r"places must be modules of .*; got 'neck'"):
        run(adapt, words)
    assert not (tmp_path / "out").exists()
