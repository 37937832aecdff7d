"""What settings fill in, and what they leave alone."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from derain_plugin import load_config
from derain_plugin.cli import train as train_cli
from derain_plugin.cli.arguments import parse_cfg_options
from derain_plugin.config.settings import fill_settings, unfilled_settings

CONFIGS = Path(__file__).parents[2] / "configs"
MS = CONFIGS / "rtdetr_r18_featderain_ms.py"
SEVEN = dict(
    data_root="/a/",
    rainy_root="/b/",
    classes=("traffic light", "person"),
    percent=10,
    synthetic_rain=(1, 5),
    rain_components=("veil", "streaks=0.5"),
    image_size=320,
)


def write_child(folder, text, base=MS):
    path = folder / "child.py"
    path.write_text(f"_base_ = {str(base)!r}\n{text}")
    return path


def rains_of(dataset):
    return [step.severity for step in dataset.pipeline if step.type == "SyntheticRain"]


def scales_of(dataset):
    return [step.scale for step in dataset.pipeline if step.type.endswith("Resize")]


@pytest.mark.parametrize("severity", [3, (3, 3), None])
def test_the_tests_severities_are_no_setting(severity, tmp_path):
    load_config(MS, dict(synthetic_rain=(3, 3))).dump(tmp_path / "dumped.py")
    cfg = load_config(tmp_path / "dumped.py", dict(synthetic_rain=severity))
    _, *tests = cfg.test_dataloader.dataset.datasets
    assert [rains_of(dataset) for dataset in tests] == [[(k, k)] for k in (1, 2, 3, 4, 5)]
    expected = [] if severity is None else [severity]
    assert rains_of(cfg.val_dataloader.dataset.datasets[1]) == expected


def test_the_number_of_classes_of_other_parts_stays(tmp_path):
    child = write_child(
        tmp_path,
        "model = dict(backbone=dict(head=dict(type='ImageNetHead', num_classes=80)))\n"
        "classes = ('car',)\n",
    )
    model = load_config(child).model
    assert (model.bbox_head.num_classes, model.backbone.head.num_classes) == (1, 80)


def test_other_paths_below_the_old_root_stay(tmp_path):
    child = write_child(
        tmp_path,
        "load_from = 'data/coco/weights.pth'\n"
        "train_dataloader = dict(dataset=dict(clean=dict(proposal_file='data/coco/boxes.pkl')))\n",
    )
    cfg = load_config(child, dict(data_root="/a"))
    assert cfg.load_from == "data/coco/weights.pth"
    clean = cfg.train_dataloader.dataset.clean
    assert clean.proposal_file == "data/coco/boxes.pkl"
    assert clean.ann_file == "/a/annotations/instances_train2017.json"


def test_the_percentage_of_a_nested_dataset_stays(tmp_path):
    child = write_child(
        tmp_path,
        "mix = _base_.train_dataloader.dataset\n"
        "train_dataloader = dict(\n"
        "    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[mix, mix])\n"
        ")\ndel mix\n",
    )
    cfg = load_config(child, dict(percent=10))
    assert [mix.percent for mix in cfg.train_dataloader.dataset.datasets] == [100, 100]


def test_a_wrapped_dataset_is_filled(tmp_path):
    child = write_child(
        tmp_path,
        "train_dataloader = dict(\n"
        "    dataset=dict(_delete_=True, type='RepeatDataset', times=2,\n"
        "                 dataset=_base_.train_dataloader.dataset)\n"
        ")\n",
    )
    mix = load_config(child, SEVEN).train_dataloader.dataset.dataset
    assert mix.percent == 10
    assert mix.rainy.data_prefix.img == "/a/train2017/"
    assert rains_of(mix.rainy) == [(1, 5)]
    assert scales_of(mix.clean) == [(320, 320)]


RESIZED_TWICE = """
train_pipeline = list(_base_.train_pipeline)
train_pipeline.insert(2, dict(type='Resize', scale=(640, 640), keep_ratio=True))
train_dataloader = dict(
    dataset=dict(clean=dict(pipeline=train_pipeline), rainy=dict(pipeline=train_pipeline))
)
"""


def test_a_second_resize_needs_to_be_told_apart(tmp_path):
    child = write_child(tmp_path, RESIZED_TWICE)
    assert scales_of(load_config(child).train_dataloader.dataset.clean) == [(640, 640)] * 2
    message = r"2 steps of 640 x 640 px that train_dataloader.dataset.clean.pipeline.Resize\|Warp"
    with pytest.raises(ValueError, match=message):
        load_config(child, dict(image_size=320))


def test_a_resize_of_the_same_size_for_another_purpose_stays(tmp_path):
    named = [f"train_dataloader.dataset.{side}.pipeline.-3.scale" for side in ("clean", "rainy")]
    child = write_child(
        tmp_path,
        f"{RESIZED_TWICE}\nsettings = dict(image_size=dict(squares={named}))\n"
        "tta_pipeline = [dict(type='Resize', scale=(640, 640))]\n",
    )
    load_config(child, dict(image_size=320, synthetic_rain=3)).dump(tmp_path / "dumped.py")
    cfg = load_config(tmp_path / "dumped.py", dict(image_size=96))
    train = cfg.train_dataloader.dataset
    assert scales_of(train.clean) == scales_of(train.rainy) == [(640, 640), (96, 96)]
    assert cfg.tta_pipeline[0].scale == (640, 640)


REPLACED = """
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CocoDataset',
        ann_file='data/coco/annotations/mine.json',
        data_prefix=dict(img='data/coco/val2017/'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(640, 640))],
    )
)
"""


def test_a_dataset_that_replaces_one_keeps_its_own(tmp_path):
    child = write_child(tmp_path, f"data_root = '/c/'\n{REPLACED}")
    before = load_config(child).test_dataloader.dataset
    assert before.ann_file == "data/coco/annotations/mine.json"
    cfg = load_config(child, SEVEN)
    assert cfg.test_dataloader.dataset == before
    assert cfg.train_dataloader.dataset.clean.ann_file.startswith("/a/")


def test_a_target_that_the_command_line_names_stays():
    cfg = load_config(MS, {"percent": 10, "train_dataloader.dataset.percent": 100})
    assert (cfg.percent, cfg.train_dataloader.dataset.percent) == (10, 100)


def test_a_target_off_the_list_keeps_the_bases_value(tmp_path):
    child = write_child(tmp_path, "settings = dict(percent=dict(value=[]))\n")
    assert load_config(child, dict(percent=10)).train_dataloader.dataset.percent == 100


def test_classes_that_reach_no_head_are_refused(tmp_path):
    child = write_child(tmp_path, "model = dict(bbox_head=dict(_delete_=True, type='Other'))\n")
    load_config(child)
    with pytest.raises(ValueError, match=r"classes reaches no head.* model.bbox_head.num_classes"):
        load_config(child, dict(classes="car"))


def test_options_of_the_command_line_with_blanks():
    words = ["data_root=/my data", "rainy_root=/b", "classes=traffic light,person", "percent=10"]
    rain = ["synthetic_rain=(1, 5)", "rain_components=veil,streaks=0.5"]
    options = parse_cfg_options([*words, *rain, "image_size=320"])
    cfg = load_config(MS, options)
    assert {name: cfg[name] for name in SEVEN} == {**SEVEN, "data_root": "/my data/"}
    clean = cfg.train_dataloader.dataset.clean
    assert clean.metainfo.classes == ("traffic light", "person")
    assert clean.data_prefix.img == "/my data/train2017/"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("classes=stop sign,car", ("stop sign", "car")),
        ("classes=stop sign", ("stop sign",)),
        ("classes=1,02,1e3", ("1", "02", "1e3")),
        ("classes=[true, no, 3]", ("true", "no", "3")),
        ("classes=('stop sign', \"driver's seat\")", ("stop sign", "driver's seat")),
        ("classes=(car)", ("car",)),
        ("classes='sign, stop',car", ("sign, stop", "car")),
        ("classes=driver's seat,car", ("driver's seat", "car")),
        ("classes=car (parked),bus", ("car (parked)", "bus")),
        ("classes=None", None),
        ("palette=[(1, 2, 3), (4, 5, 6)]", [(1, 2, 3), (4, 5, 6)]),
        ("scales=([1, 2], [ 3, 4 ])", ([1, 2], [3, 4])),
        ("load_from=", ""),
        ('data_root=""', ""),
        ("test_evaluator.outfile_prefix=/my data, new/out", "/my data, new/out"),
        ("train_dataloader.dataset.metainfo.classes=1,2", ("1", "2")),
        ("data_root=/my data,new/[1]/", "/my data,new/[1]/"),
        ("data_root=2024", "2024"),
        ("data_root='/my data'", "/my data"),
        ("rainy_root=/bob's/a=b", "/bob's/a=b"),
        ("load_from=None", None),
        ("load_from=/a, b.pth", "/a, b.pth"),
        ("a.data_prefix.img=/my data/", "/my data/"),
        ("title=stop  sign", "stop  sign"),
        ("numbers=1, 2", [1, 2]),
        ("image_size=(640, 384)", (640, 384)),
    ],
)
def test_values_of_the_command_line_survive(word, value):
    (option,) = parse_cfg_options([word]).values()
    assert option == value
    assert type(option) is type(value)


def test_options_may_be_given_in_several_places():
    more = ["--cfg-options", "synthetic_rain=3"]
    args = train_cli.parse_args(["c.py", "--cfg-options", "percent=10", *more])
    assert args.cfg_options == dict(percent=10, synthetic_rain=3)


def test_a_root_may_be_a_path_object_or_begin_with_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cfg = load_config(MS, dict(data_root=tmp_path / "coco", rainy_root="~/rain"))
    assert cfg.data_root == f"{tmp_path}/coco/"
    assert cfg.val_dataloader.dataset.datasets[1].data_prefix.img == f"{tmp_path}/rain/val2017/"


def resizes(cfg):
    text = str(cfg.train_dataloader) + str(cfg.val_dataloader) + str(cfg.test_dataloader)
    return set(re.findall(r"'scale': (\(.*?\))", text))


def test_a_rectangle_reaches_every_resize_and_comes_back(tmp_path):
    cfg = load_config(MS, dict(image_size=(960, 544)))
    assert resizes(cfg) == {"(960, 544)"}
    (augment,) = cfg.model.data_preprocessor.batch_augments
    assert augment.sizes.count((960, 544)) == 3
    assert (augment.sizes[0], augment.sizes[-1]) == ((704, 416), (1216, 672))
    cfg.dump(tmp_path / "dumped.py")
    other = load_config(tmp_path / "dumped.py", dict(image_size=(480, 640)))
    assert resizes(other) == {"(480, 640)"}
    assert other.model.data_preprocessor.batch_augments[0].sizes.count((480, 640)) == 3
    square = load_config(tmp_path / "dumped.py", dict(image_size=[640, 640]))
    assert square.image_size == 640
    assert resizes(square) == {"(640, 640)"}


def test_filling_in_twice_changes_nothing(tmp_path):
    cfg = load_config(MS, SEVEN)
    assert unfilled_settings(cfg) == {}
    again = Config(cfg.to_dict())
    fill_settings(again)
    assert again.to_dict() == cfg.to_dict()
    cfg.dump(tmp_path / "dumped.py")
    back = {name: Config.fromfile(MS)[name] for name in SEVEN}
    back, plain = load_config(tmp_path / "dumped.py", back), load_config(MS)
    for section in ("settings", "train_dataloader", "val_dataloader", "test_dataloader"):
        assert back[section] == plain[section]


def test_a_config_dumped_by_an_earlier_version(tmp_path):
    path = tmp_path / "dumped.py"
    path.write_text("data_root = 'x/'\nwritten_with = dict(data_root='x/')\n")
    assert load_config(path).data_root == "x/"
    with pytest.raises(ValueError, match=r"data_root='y/' reaches nothing.* earlier version"):
        load_config(path, dict(data_root="y/"))


def rains_with_options(dataset):
    return [step for step in dataset.pipeline if step.type == "SyntheticRain"]


@pytest.mark.parametrize("components", [("veil", "streaks=0.5"), "veil"])
def test_components_reach_rendered_rain(components, tmp_path):
    load_config(MS, dict(synthetic_rain=(1, 5))).dump(tmp_path / "dumped.py")
    cfg = load_config(tmp_path / "dumped.py", dict(rain_components=components))
    for dataset in (cfg.train_dataloader.dataset.rainy, cfg.val_dataloader.dataset.datasets[1]):
        (rain,) = rains_with_options(dataset)
        assert (rain.severity, rain.components) == ((1, 5), components)
    _, *tests = cfg.test_dataloader.dataset.datasets
    assert not any("components" in step for dataset in tests for step in dataset.pipeline)
    cfg.dump(tmp_path / "again.py")
    back = load_config(tmp_path / "again.py", dict(rain_components=None))
    (rain,) = rains_with_options(back.train_dataloader.dataset.rainy)
    assert "components" not in rain


def test_components_without_rain_are_refused():
    with pytest.raises(ValueError, match=r"rain_components='veil' reaches nothing without synthet"):
        load_config(MS, dict(rain_components="veil"))
