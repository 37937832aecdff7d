import json
import shutil
from pathlib import Path

import pytest
from coco_folder import write_coco_folder
from mmdet.registry import DATASETS

from derain_plugin import load_config
from derain_plugin.config.conditions import use_conditions
from derain_plugin.datasets.checks.coco_check import check_datasets

CONFIG = Path(__file__).parents[3] / "configs/rtdetr_r18_featderain_ms.py"
CLASSES = ("square", "disc")


@pytest.fixture
def folder(tmp_path):
    return write_coco_folder(tmp_path, num_images=2)


def check(folder, classes=CLASSES, evaluator=None, **overrides):
    dataset = dict(
        type="CocoDataset",
        ann_file=str(folder / "annotations/instances_train2017.json"),
        data_prefix=dict(img=str(folder / "train2017")),
        metainfo=dict(classes=classes),
    )
    loader = dict(dataset={**dataset, **overrides})
    check_datasets(dict(test_dataloader=loader, test_evaluator=evaluator))


def edit(folder, change):
    path = folder / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_sound_folder_passes(folder):
    check(folder)
    edit(folder, lambda content: content["annotations"][0].update(bbox=[-5, -5, 20, 20]))
    check(folder)  # boxes may stick out


@pytest.mark.parametrize("without", [{}, {"annotations": []}], ids=["no list", "no box"])
def test_images_without_annotations_pass_where_detections_are_only_written(folder, without):
    def strip(content):
        del content["annotations"]
        content.update(without)

    edit(folder, strip)
    metric = dict(type="CocoMetric", ann_file=None, format_only=True, outfile_prefix="test-dev")
    check(folder, evaluator=metric)
    with pytest.raises(ValueError, match="no box to learn from: 0 annotations"):
        check(folder, evaluator=dict(metric, format_only=False))
    with pytest.raises(ValueError, match="no box to learn from: 0 annotations"):
        check(folder)


def bbox(value):
    return lambda content: content["annotations"][0].update(bbox=value)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (bbox([5000, 5, 10, 10]), ValueError, r"annotation 1 has bbox \[5000, 5, 10, 10\]"),
        (bbox([5, -50, 10, 10]), ValueError, "no finite area inside its image 1"),
        (bbox([5, 5, -10, 10]), ValueError, r"\[5, 5, -10, 10\]"),
        (bbox([float("nan"), 5, 10, 10]), ValueError, "nan"),
        (lambda c: c["annotations"][0].update(image_id=99), ValueError, "image 99, which is not"),
        (lambda c: c["images"][0].update(file_name="gone.jpg"), FileNotFoundError, "'gone.jpg'"),
        (lambda c: c.pop("categories"), ValueError, "no list 'categories'"),
    ],
)
def test_what_is_wrong_is_named(folder, change, error, message):
    edit(folder, change)
    with pytest.raises(error, match=message):
        check(folder)


@pytest.mark.parametrize("kind", ["link", "dot", "up", "absolute"])
def test_images_are_there_if_the_loader_opens_them(folder, tmp_path, kind):
    images = folder / "train2017"
    first = sorted(images.iterdir())[0].name
    if kind == "link":
        (tmp_path / "disk").mkdir()
        shutil.move(images / first, tmp_path / "disk" / first)
        (images / "part").symlink_to(tmp_path / "disk")
    spelled = dict(
        link=f"part/{first}", dot=f"./{first}", up=f"../{images.name}/{first}",
        absolute=str(images / first),
    )  # fmt: skip
    edit(folder, lambda content: content["images"][0].update(file_name=spelled[kind]))
    check(folder)
    dataset = dict(
        type="CocoDataset",
        ann_file=str(folder / "annotations/instances_train2017.json"),
        data_prefix=dict(img=str(folder / "train2017")),
        metainfo=dict(classes=CLASSES),
        pipeline=[dict(type="LoadImageFromFile")],
    )
    assert DATASETS.build(dataset)[0]["img"].size


def test_a_missing_image_of_another_spelling_is_named(folder):
    first = sorted((folder / "train2017").iterdir())[0].name
    edit(folder, lambda content: content["images"][0].update(file_name=f"train2017\\{first}"))
    with pytest.raises(FileNotFoundError, match=rf"train2017.*there is '{first}'.*file_name"):
        check(folder)


def test_unknown_class(folder):
    with pytest.raises(ValueError, match=r"no category 'car'; it has 'square', 'disc'.*classes="):
        check(folder, ("square", "car"))


def test_missing_files(folder):
    with pytest.raises(FileNotFoundError, match="set data_root"):
        check(folder, ann_file=str(folder / "absent.json"))
    with pytest.raises(FileNotFoundError, match=r"absent.*synthetic_rain"):
        check(folder, data_prefix=dict(img=str(folder / "absent")))


def test_truncated_json(folder):
    path = folder / "annotations/instances_train2017.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match="is not JSON"):
        check(folder)


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "test_dataloader"])
def test_every_dataset_of_a_config_is_checked(folder, loader):
    options = dict(data_root=str(folder), classes=list(CLASSES), rainy_root=str(folder / "rainy"))
    cfg = load_config(CONFIG, options)
    use_conditions(cfg, CONFIG.parent / "conditions/rainy_copy.py", options)
    with pytest.raises(FileNotFoundError, match="rainy"):
        check_datasets(cfg, (loader,))


def test_only_a_mix_may_lack_images(folder):
    rainy = folder / "rainy"
    for split in ("train2017", "val2017"):
        shutil.copytree(folder / split, rainy / split)
        next((rainy / split).iterdir()).unlink()
    options = dict(data_root=str(folder), classes=list(CLASSES), rainy_root=str(rainy))
    cfg = load_config(CONFIG, options)
    check_datasets(cfg, ("train_dataloader",))
    with pytest.raises(FileNotFoundError, match="lacks 1 of the 2 images"):
        check_datasets(cfg, ("val_dataloader",))


def test_a_metric_of_another_file(folder):
    options = dict(data_root=str(folder), classes=list(CLASSES), synthetic_rain=3)
    cfg = load_config(CONFIG, options)
    check_datasets(cfg, ("val_dataloader",))
    cfg.val_evaluator.metrics[1].ann_file = str(folder / "annotations/instances_train2017.json")
    with pytest.raises(ValueError, match=r"val_evaluator scores by .*train2017.json, but val_data"):
        check_datasets(cfg, ("val_dataloader",))
