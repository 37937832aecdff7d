"""One mapping from labels to names: files, config and checkpoint agree or are told apart."""

from types import SimpleNamespace

import named_coco
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper
from tiny_rtdetr import tiny_rtdetr_cfg
from torch.optim import SGD

from derain_plugin import load_config
from derain_plugin.datasets.checks.coco_check import check_datasets
from derain_plugin.datasets.label_map import (
    class_layers,
    classes_of,
    configured_classes,
    require_same_classes,
    saved_classes,
)
from derain_plugin.datasets.labels.classes import COCO_NAMES
from derain_plugin.engine.hooks import LabelMapHook

ORDERS = [("square", "disc"), ("disc", "square")]
RTMDET = """
_base_ = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
model = dict(
    backbone=dict(init_cfg=None, widen_factor=0.25),
    neck=dict(in_channels=[64, 128, 256], out_channels=32),
    bbox_head=dict(num_classes=2, in_channels=32, feat_channels=32),
)
"""


@pytest.mark.parametrize("in_file", ORDERS)
@pytest.mark.parametrize("classes", ORDERS)
def test_labels_follow_the_classes_and_not_the_file(tmp_path, in_file, classes):
    path = named_coco.write(tmp_path / "a.json", named_coco.content(in_file))
    assert [image["names"] for image in named_coco.truth(path, classes)] == [
        ["square"],
        ["disc", "square"],
    ]
    (first, _) = named_coco.dataset(path, classes)
    assert first["instances"][0]["bbox_label"] == classes.index("square")


@pytest.mark.parametrize("classes", ORDERS)
def test_a_test_file_of_another_order_scores_the_same(tmp_path, classes):
    files = [
        named_coco.write(tmp_path / f"{names[0]}.json", named_coco.content(names))
        for names in ORDERS
    ]
    found = named_coco.truth(files[0], classes)
    for path in files:
        assert named_coco.average_precision(path, found, classes) == 1.0
    del found[1]["names"][0], found[1]["boxes"][0]  # the disc
    for path in files:
        values = named_coco.scores(path, found, classes, classwise=True)
        assert (values["coco/square_precision"], values["coco/disc_precision"]) == (1, 0)


def test_a_subset_of_the_categories(tmp_path):
    path = named_coco.write(tmp_path / "a.json", named_coco.content(("disc", "ring", "square")))
    found = named_coco.truth(path, ("square",))
    assert [image["names"] for image in found] == [["square"], ["square"]]
    assert named_coco.average_precision(path, found, ("square",)) == 1.0


def test_a_class_of_which_there_is_no_box(tmp_path):
    """Images are filtered by their boxes then, too."""
    only_discs = {1: [], 2: named_coco.BOXES[2][:1]}
    names = ("square", "disc", "cone")
    ann_file = named_coco.write(tmp_path / "a.json", named_coco.content(names, only_discs))
    trained = named_coco.dataset(ann_file, names, filter_cfg=dict(filter_empty_gt=True))
    assert [info["img_id"] for info in trained] == [2]
    assert trained[0]["instances"][0]["bbox_label"] == 1


def test_an_unused_root_category_of_the_same_name(tmp_path):
    content = named_coco.content()
    content["categories"].insert(0, dict(id=9, name="disc", supercategory="none"))
    path = named_coco.write(tmp_path / "a.json", content)
    assert named_coco.average_precision(path, named_coco.truth(path)) == 1.0


def test_two_used_categories_of_the_same_name_are_refused(tmp_path):
    content = named_coco.content()
    content["categories"].append(dict(id=9, name="disc"))
    content["annotations"][0]["category_id"] = 9
    path = named_coco.write(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match=r"a.json has the category name 'disc' with .* \[2, 9\]"):
        named_coco.dataset(path)


def loader(ann_file, classes=None, kind="NamedCocoDataset"):
    metainfo = dict(metainfo=dict(classes=classes)) if classes else {}
    return dict(dataset=dict(type=kind, ann_file=ann_file, pipeline=[], **metainfo))


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (("a", "b"), ("b", "a"), r"t.json has the classes \(a, b\), that of v.json \(b, a\)"),
        (("a", "b"), None, r"\(a, b\), that of v.json 80 of COCO.*classes=a,b"),
        (("a", "a"), ("a", "a"), r"must be distinct, got \['a', 'a'\]"),
        ("person", "person", r"got the text 'person': \('person',\)"),
    ],
)
def test_datasets_of_other_classes(train, val, message):
    cfg = dict(
        train_dataloader=loader("t.json", train), val_dataloader=loader("v.json", val), model={}
    )
    with pytest.raises(ValueError, match=message):
        configured_classes(cfg, ("train_dataloader", "val_dataloader"))


@pytest.mark.parametrize(
    "model",
    [
        dict(bbox_head=dict(num_classes=80)),
        dict(rpn_head=dict(num_classes=1), roi_head=dict(bbox_head=[dict(num_classes=3)])),
    ],
)
def test_a_head_of_another_size(model):
    cfg = dict(train_dataloader=loader("t.json", ("a", "b")), model=model)
    with pytest.raises(ValueError, match=r"num_classes=\d+, but .*t.json the 2 classes \(a, b\)"):
        configured_classes(cfg, ("train_dataloader",))


def test_mmdets_own_type_needs_the_files_order(tmp_path):
    path = named_coco.write(tmp_path / "a.json", named_coco.content())
    cfg = dict(train_dataloader=loader(path, ("disc", "square"), "CocoDataset"))
    with pytest.raises(ValueError, match=r"\(square, disc\), the config the classes \(disc, sq"):
        check_datasets(cfg, ("train_dataloader",))


@pytest.mark.parametrize("name", ["CocoDataset", "mmdet.CocoDataset"])
def test_mmdets_types_give_way_to_ours(tmp_path, name):
    (tmp_path / "a.py").write_text(
        f"train_dataloader = dict(dataset=dict(dataset=dict(type='{name}', ann_file='a')))\n"
        "val_evaluator = [dict(type='CocoMetric')]\n"
        "test_evaluator = dict(type='LVISMetric')\n"
    )
    cfg = load_config(tmp_path / "a.py")
    assert cfg.train_dataloader.dataset.dataset.type == "NamedCocoDataset"
    assert cfg.val_evaluator[0].type == "NamedCocoMetric"
    assert cfg.test_evaluator.type == "LVISMetric"


def rtmdet(tmp_path):
    (tmp_path / "rtmdet.py").write_text(RTMDET)
    return load_config(tmp_path / "rtmdet.py").model


@pytest.fixture(params=["rtdetr", "rtmdet"])
def settings(request, tmp_path):
    return tiny_rtdetr_cfg() if request.param == "rtdetr" else rtmdet(tmp_path)


def checkpoint_of(settings, classes, **overrides):
    settings = dict(settings, bbox_head=dict(settings["bbox_head"], **overrides))
    meta = dict(dataset_meta=dict(classes=classes)) if classes else {}
    return dict(meta=meta, state_dict=MODELS.build(settings).state_dict())


REFUSED = {
    "other order": (("disc", "square"), 2, r"\(disc, square\).*\(square, disc\).*classes=disc,sq"),
    "other names": (("stop sign", "car"), 2, '"classes=stop sign,car"'),
    "more names": (("square", "disc", "ring"), 3, "classes=square,disc,ring"),
    "coco": (COCO_NAMES, 80, "80 of COCO.*Leave classes=... out"),
    "no names, another number": (None, 3, "another number of classes .* in another shape"),
    "transformers' default names": (("LABEL_0", "LABEL_1", "LABEL_2"), 3, "another number"),
}


@pytest.mark.parametrize(("saved", "count", "message"), REFUSED.values(), ids=REFUSED)
def test_a_checkpoint_of_other_classes_is_refused(settings, saved, count, message):
    checkpoint = checkpoint_of(settings, saved, num_classes=count)
    with pytest.raises(ValueError, match=message):
        require_same_classes(checkpoint, ("square", "disc"), MODELS.build(settings), source="a.pth")


@pytest.mark.parametrize(
    "saved", [("square", "disc"), ("Square", "DISC"), None, ("LABEL_0", "LABEL_1")]
)
def test_a_checkpoint_of_the_same_classes_is_taken(settings, saved):
    model = MODELS.build(settings)
    checkpoint = checkpoint_of(settings, saved)
    require_same_classes(checkpoint, ("square", "disc"), model, source="a.pth")


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (dict(dataset_meta=dict(classes=["a", "b"])), ("a", "b")),
        (dict(dataset_meta=dict(CLASSES=("a",))), ("a",)),
        (dict(dataset_meta=[dict(classes=("a",)), dict(classes=("a",))]), ("a",)),
        (dict(CLASSES=("a", "b"), epoch=3), ("a", "b")),
        (dict(CLASSES="car"), ("car",)),
        (dict(dataset_meta=dict(classes=("LABEL_0", "LABEL_1"))), None),
        (dict(dataset_meta={}), None),
        ({}, None),
    ],
)
def test_names_of_a_checkpoint(meta, expected):
    assert saved_classes(dict(meta=meta)) == expected


@pytest.mark.parametrize(
    ("trained_with", "classes", "warns"),
    [
        ("type='CocoDataset'", ("square", "disc"), True),
        ("type='NamedCocoDataset'", ("square", "disc"), False),
        ("type='CocoDataset'", COCO_NAMES, False),
    ],
)
def test_names_that_a_file_may_contradict(log, trained_with, classes, warns):
    checkpoint = dict(meta=dict(dataset_meta=dict(classes=classes), cfg=trained_with))
    require_same_classes(checkpoint, classes, torch.nn.Linear(1, 1), source="old.pth")
    assert ("old.pth was trained with labels in the order of" in log.text) is warns


def runner_of(settings, *, training, resume=False):
    model = MODELS.build(settings)
    wrapper = OptimWrapper(SGD(model.parameters(), lr=1)) if training else dict(type="OptimWrapper")
    data = loader("a.json", ("square", "disc"))
    cfg = dict(train_dataloader=data, test_dataloader=data, model=settings)
    cfg = SimpleNamespace(get=cfg.get, model=settings)
    return SimpleNamespace(model=model, optim_wrapper=wrapper, _resume=resume, cfg=cfg)


def test_class_layers_start_anew_where_names_differ(settings):
    runner = runner_of(settings, training=True)
    fresh = {key: value.clone() for key, value in runner.model.state_dict().items()}
    checkpoint = checkpoint_of(settings, ("disc", "square"))
    with torch.no_grad():
        for value in checkpoint["state_dict"].values():
            value += 1
    LabelMapHook().after_load_checkpoint(runner, checkpoint)
    anew = {k for k, v in checkpoint["state_dict"].items() if torch.equal(v, fresh[k])}
    assert anew
    assert anew == set(class_layers(settings))
    assert len(anew) < len(fresh) / 4


def test_class_layers_of_the_same_names_stay(settings):
    checkpoint = checkpoint_of(settings, ("square", "disc"))
    before = {key: value.clone() for key, value in checkpoint["state_dict"].items()}
    LabelMapHook().after_load_checkpoint(runner_of(settings, training=True), checkpoint)
    assert all(torch.equal(checkpoint["state_dict"][key], value) for key, value in before.items())


@pytest.mark.parametrize("options", [dict(training=False), dict(training=True, resume=True)])
def test_a_test_and_a_resume_refuse_other_classes(options):
    checkpoint = checkpoint_of(tiny_rtdetr_cfg(), ("disc", "square"))
    runner = runner_of(tiny_rtdetr_cfg(), **options)
    with pytest.raises(ValueError, match="classes=disc,square"):
        LabelMapHook().after_load_checkpoint(runner, checkpoint)


def test_the_spelling_of_mmdet_2_is_refused():
    dataset = dict(type="CocoDataset", ann_file="a.json", metainfo=dict(CLASSES=("square",)))
    with pytest.raises(ValueError, match=r"a\.json has CLASSES, which mmdet 3 .*: write classes"):
        classes_of(dataset)


def test_blanks_around_names_of_a_checkpoint_do_not_count():
    assert saved_classes(dict(meta=dict(CLASSES=("square ", "disc")))) == ("square", "disc")
