import json
from pathlib import Path

import cv2
import pytest
from saved_models import save_model
from study_records import CONDITIONS
from tiny_rtdetr import TINY, transformers_twin

from derain_plugin import load_config
from projects.study.failures import choose_images, main, write_failures

CONFIGS = Path(__file__).parents[4] / "configs"


def test_images_where_the_counts_differ_most():
    control = {1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 0}
    neck = {1: 5, 2: 4, 3: 1, 4: 6, 5: 4, 6: 3}
    chosen = choose_images(control, neck, images=2)
    assert [row["image_id"] for row in chosen] == [3, 2, 6, 4]
    assert chosen[0] == dict(image_id=3, control=5, neck=1)
    with pytest.raises(ValueError, match="different images"):
        choose_images(control, {1: 5}, images=2)


@pytest.fixture(scope="module")
def tests(coco_root, tmp_path_factory):
    """What tests of two detectors left; predictions are better than their random weights'."""
    root = tmp_path_factory.mktemp("tests")
    ann_file = coco_root / "annotations/instances_val2017.json"
    weights = root / "weights"
    transformers_twin(num_classes=2, **TINY).save_pretrained(weights)
    tiny = {
        f"model.{part}.{key}": v for part in ("backbone", "bbox_head") for key, v in TINY.items()
    }
    data = dict(data_root=str(coco_root), classes=("square", "disc"), synthetic_rain=3)
    necks = dict(
        rtdetr_r18_finetune_mix={f"model.neck.{key}": v for key, v in TINY.items()},
        rtdetr_r18_featderain_ms={
            "model.neck.derain.in_channels": [16, 24, 32],
            **{f"model.neck.neck.{key}": value for key, value in TINY.items()},
        },
    )
    for number, (name, neck) in enumerate(necks.items()):
        cfg = load_config(CONFIGS / f"{name}.py", {**data, **tiny, **neck, "image_size": 96})
        cfg.load_from = f"hf://{weights}"
        (root / name).mkdir()
        cfg.dump(root / name / f"{name}.py")
        errors = dict.fromkeys(CONDITIONS[:6], 6.0)
        save_model(root / name / "predictions.pkl", ann_file, errors, seed=number)
    return root


def test_draws_detections_and_masks_of_both_kinds(tests, tmp_path):
    out = tmp_path / "failures.jpg"
    control, neck = tests / "rtdetr_r18_finetune_mix", tests / "rtdetr_r18_featderain_ms"
    chosen = write_failures(control, neck, out, images=1)
    worse, better = chosen
    assert worse["control"] > worse["neck"]
    assert better["control"] < better["neck"]
    height, width = cv2.imread(str(out)).shape[:2]
    assert width == 4 * 256  # truth, control, neck, mask
    assert height > 2 * 256
    found = json.loads(out.with_suffix(".json").read_text())
    assert found["images"] == chosen
    assert found["condition"] == "severity_5"


def test_tests_that_are_not_suited(tests, tmp_path):
    control = str(tests / "rtdetr_r18_finetune_mix")
    out = ["--out", str(tmp_path / "failures.jpg")]
    with pytest.raises(SystemExit, match=r"should have one config and predictions\.pkl"):
        main([control, str(tmp_path), *out])
    with pytest.raises(SystemExit, match="without a DerainNeck"):
        main([control, control, *out])
