import copy
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config

from derain_plugin import load_config
from derain_plugin.engine.hooks.phase import check_patterns, parse_phases

CONFIGS = Path(__file__).parents[2] / "configs"
TOY_CONFIGS = CONFIGS.parent / "projects/study/configs/toy"
# Of detectors; tests/configs/test_restorer_configs.py has the others.
RTDETR = sorted(
    path for name in ("rtdetr", "dfine", "deimv2") for path in CONFIGS.glob(f"{name}*.py")
)
RTDETR = [p for p in RTDETR if not p.stem.endswith("_adapter")]  # set synthetic_rain, like a child
MMDET = sorted(CONFIGS.glob("mmdet/*.py"))
NAMED = [*RTDETR, *MMDET]
TOY = sorted({*TOY_CONFIGS.glob("*.py")} - {TOY_CONFIGS / "toy_spdnet_rain.py"})
MS = CONFIGS / "rtdetr_r18_featderain_ms.py"


def paths_in(node):
    if isinstance(node, str):
        return [node] if node.startswith("data/") else []
    children = node.values() if isinstance(node, dict) else node
    return (
        [path for child in children for path in paths_in(child)]
        if isinstance(node, dict | list | tuple)
        else []
    )


def values_of(key, node):
    children = node.values() if isinstance(node, dict) else node
    below = [
        value
        for child in children
        if isinstance(child, dict | list | tuple)
        for value in values_of(key, child)
    ]
    return [node[key], *below] if isinstance(node, dict) and key in node else below


def datasets_of(cfg):
    train = cfg.train_dataloader.dataset
    return [
        train.clean,
        train.rainy,
        *cfg.val_dataloader.dataset.datasets,
        *cfg.test_dataloader.dataset.datasets,
    ]


@pytest.mark.parametrize("path", NAMED, ids=lambda path: path.stem)
def test_defaults_are_what_mmengine_alone_reads(path):
    plain = Config.fromfile(path).to_dict()
    assert load_config(path).to_dict() == plain


@pytest.mark.parametrize("options", [{}, dict(data_root="/a", synthetic_rain=3)], ids=str)
def test_vanilla_trains_on_the_clean_side_alone(options):
    vanilla, full = load_config(CONFIGS / "rtdetr_r18_coco.py", options), load_config(MS, options)
    train = vanilla.train_dataloader.dataset
    assert train.rain_ratio == 0
    assert train.clean == train.rainy == full.train_dataloader.dataset.clean


@pytest.mark.parametrize("path", NAMED, ids=lambda path: path.stem)
def test_settings_reach_everything_from_the_command_line(path):
    cfg = load_config(path, dict(data_root="/a", rainy_root="/b/", classes=["car", "person"]))
    assert paths_in(cfg.to_dict()) == []
    assert set(values_of("num_classes", cfg.model)) == {2}
    for dataset in datasets_of(cfg):
        assert dataset.metainfo.classes == ("car", "person")
        assert dataset.ann_file.startswith("/a/annotations/")
    images = [dataset.data_prefix.img for dataset in cfg.val_dataloader.dataset.datasets]
    assert images == ["/a/val2017/", "/b/val2017/"]
    images = [dataset.data_prefix.img for dataset in cfg.test_dataloader.dataset.datasets]
    assert images == ["/a/val2017/"] * 6
    for metric in (*cfg.val_evaluator.metrics, *cfg.test_evaluator.metrics):
        assert metric.ann_file == "/a/annotations/instances_val2017.json"


def write_child(folder, text):
    path = folder / "child.py"
    path.write_text(f"_base_ = {str(MS)!r}\n{text}")
    return path


def test_settings_reach_everything_from_a_child_config(tmp_path):
    child = write_child(
        tmp_path, "data_root = '/a/'\nclasses = ('car',)\npercent = 10\nsynthetic_rain = (1, 5)\n"
    )
    cfg = load_config(child)
    train = cfg.train_dataloader.dataset
    assert (train.percent, cfg.model.bbox_head.num_classes) == (10, 1)
    assert train.rainy.data_prefix.img == train.clean.data_prefix.img == "/a/train2017/"
    assert [step.type for step in train.rainy.pipeline[:2]] == [
        "LoadImageFromFile",
        "SyntheticRain",
    ]
    assert train.rainy.pipeline[1].severity == (1, 5)
    assert "SyntheticRain" not in [step.type for step in train.clean.pipeline]
    clean, rainy = cfg.val_dataloader.dataset.datasets
    assert [step.type for step in rainy.pipeline].count("SyntheticRain") == 1
    assert "SyntheticRain" not in [step.type for step in clean.pipeline]


def test_command_line_wins_over_the_child(tmp_path):
    child = write_child(tmp_path, "classes = ('car',)\n")
    assert load_config(child, dict(classes="bus")).model.bbox_head.num_classes == 1
    assert load_config(child, dict(classes=["a", "b", "c"])).model.bbox_head.num_classes == 3


def test_what_a_config_sets_on_one_dataset_stays(tmp_path):
    child = write_child(
        tmp_path,
        "data_root = '/a/'\n"
        "train_dataloader = dict(dataset=dict(percent=5, clean=dict(ann_file='/mine.json')))\n"
        "model = dict(bbox_head=dict(num_classes=7))\n",
    )
    cfg = load_config(child, dict(percent=50, classes=["car"]))
    assert cfg.train_dataloader.dataset.percent == 5
    assert cfg.train_dataloader.dataset.clean.ann_file == "/mine.json"
    assert cfg.train_dataloader.dataset.rainy.ann_file.startswith("/a/")
    assert cfg.model.bbox_head.num_classes == 7


@pytest.mark.parametrize("back", [None, 5])
def test_a_dumped_config_takes_new_settings(tmp_path, back):
    cfg = load_config(MS, dict(data_root="/a", synthetic_rain=3, classes=["car"]))
    cfg.dump(tmp_path / "dumped.py")
    assert load_config(tmp_path / "dumped.py").to_dict() == cfg.to_dict()
    again = load_config(tmp_path / "dumped.py", dict(synthetic_rain=back, rainy_root="/r"))
    rainy = again.val_dataloader.dataset.datasets[1]
    rain = [step.severity for step in rainy.pipeline if step.type == "SyntheticRain"]
    assert rain == ([] if back is None else [back])
    assert rainy.data_prefix.img == ("/r/val2017/" if back is None else "/a/val2017/")


def test_one_root_may_lie_inside_the_other(tmp_path):
    load_config(MS, dict(data_root="/a", rainy_root="/a/rain")).dump(tmp_path / "dumped.py")
    cfg = load_config(tmp_path / "dumped.py", dict(data_root="/b"))
    clean, rainy = cfg.val_dataloader.dataset.datasets
    assert clean.data_prefix.img == "/b/val2017/"
    assert rainy.data_prefix.img == "/a/rain/val2017/"


def test_image_size_reaches_every_resize(tmp_path):
    child = write_child(tmp_path, "image_size = 320\n")
    for cfg, size, ends in (
        (load_config(MS), 640, (480, 800)),
        (load_config(child), 320, (256, 384)),
    ):
        pipelines = [dataset.pipeline for dataset in datasets_of(cfg)]
        scales = [s.scale for pipeline in pipelines for s in pipeline if s.type.endswith("Resize")]
        assert scales == [(size, size)] * 10
        (augment,) = cfg.model.data_preprocessor.batch_augments
        assert augment.sizes.count(size) >= 3
        assert (min(augment.sizes), max(augment.sizes)) == ends


@pytest.mark.parametrize("path", MMDET, ids=lambda path: path.stem)
def test_image_size_reaches_every_square_or_is_refused(path):
    if not path.stem.startswith(("rtmdet", "yolox")):
        with pytest.raises(ValueError, match=r"image_size=320 reaches nothing.* of 640 x 640 px"):
            load_config(path, dict(image_size=320))
        return
    cfg = load_config(path, dict(image_size=320))
    for section in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for key in ("scale", "crop_size", "size"):
            assert set(values_of(key, cfg[section])) <= {(320, 320)}
    assert "640" not in str(cfg.train_dataloader)
    if path.stem.startswith("yolox"):
        (resize,) = cfg.model.data_preprocessor.batch_augments
        assert (resize.sizes[0], resize.sizes[-1]) == (256, 384)


def test_multi_scale_sizes_written_for_the_new_image_size_stay(tmp_path):
    augments = "[dict(type='BatchRandomResize', sizes=[320, 640])]"
    model = f"dict(data_preprocessor=dict(batch_augments={augments}))"
    child = write_child(tmp_path, f"image_size = 320\nmodel = {model}\n")
    assert load_config(child).model.data_preprocessor.batch_augments[0].sizes == [320, 640]


def test_a_rain_of_its_own_stays_on_a_dataset(tmp_path):
    own = "dict(type='SyntheticRain', severity=2, seed=0)"
    child = write_child(
        tmp_path,
        f"rainy = dict(**_base_.val_dataloader.dataset.datasets[0])\n"
        f"rainy['pipeline'] = [rainy['pipeline'][0], {own}, *rainy['pipeline'][1:]]\n"
        "test_dataloader = dict(dataset=dict(datasets=[rainy]))\ndel rainy\n",
    )
    (rainy,) = load_config(child, dict(synthetic_rain=5)).test_dataloader.dataset.datasets
    assert [step.severity for step in rainy.pipeline if step.type == "SyntheticRain"] == [2]


TWINS = """
load, *rest = _base_.train_pipeline
train_dataloader = dict(
    dataset=dict(
        clean=dict(pipeline=[load, dict(type="RainTwin", severity=0, seed=0), *rest]),
        rainy=dict(pipeline=[load, dict(type="RainTwin", seed=0), *rest]),
    )
)
del load, rest
"""


@pytest.mark.parametrize("roots", [("/a/", "/b/"), ("/a/", "/a/rain/"), ("/b/clean/", "/b/")])
def test_twins_render_the_rain_themselves(tmp_path, roots):
    child = write_child(tmp_path, TWINS)
    options = dict(zip(("data_root", "rainy_root"), roots, strict=True))
    load_config(child, dict(options, synthetic_rain=(1, 5))).dump(tmp_path / "dumped.py")
    for options, severity in (({}, (1, 5)), (dict(synthetic_rain=3), 3)):
        train = load_config(tmp_path / "dumped.py", options).train_dataloader.dataset
        for side, expected in ((train.clean, 0), (train.rainy, severity)):
            assert side.data_prefix.img == f"{roots[0]}train2017/"
            rains = [(s.type, s.severity) for s in side.pipeline if "Rain" in s.type]
            assert rains == [("RainTwin", expected)]


def test_a_severity_of_its_own_stays_on_a_twin(tmp_path):
    child = write_child(tmp_path, TWINS.replace("seed=0), *rest]),\n    )", "severity=2)])\n    )"))
    train = load_config(child, dict(synthetic_rain=(1, 5))).train_dataloader.dataset
    assert train.rainy.pipeline[1].severity == 2


def test_components_reach_twins(tmp_path):
    options = dict(synthetic_rain=3, rain_components="streaks")
    train = load_config(write_child(tmp_path, TWINS), options).train_dataloader.dataset
    assert train.rainy.pipeline[1].components == "streaks"


def test_twins_need_synthetic_rain(tmp_path):
    with pytest.raises(ValueError, match=r"RainTwin .* set synthetic_rain"):
        load_config(write_child(tmp_path, TWINS))


def test_a_root_may_begin_with_the_base_configs():
    root = "data/coco/part/"
    cfg = load_config(MS, dict(data_root=root, synthetic_rain=3))
    assert cfg.train_dataloader.dataset.rainy.data_prefix.img == f"{root}train2017/"


@pytest.mark.parametrize("rain", [None, 3, (1, 5)], ids=str)
@pytest.mark.parametrize("path", [*NAMED, *TOY], ids=lambda path: path.stem)
def test_tests_are_clean_and_every_severity_of_the_same_images(path, rain, tmp_path):
    load_config(path, dict(synthetic_rain=rain)).dump(tmp_path / "dumped.py")
    cfg = load_config(tmp_path / "dumped.py", dict(synthetic_rain=2))
    clean, *rainy = cfg.test_dataloader.dataset.datasets
    load, *rest = clean.pipeline
    rains = [dict(type="SyntheticRain", severity=(k, k), seed=0) for k in (1, 2, 3, 4, 5)]
    names = ["clean", *(f"severity_{k}" for k in (1, 2, 3, 4, 5))]
    if path in TOY:
        rains.append(dict(type="HeldOutRain", seed=0))
        names.append("held_out")
        assert cfg.test_evaluator.rainy_prefixes == names[1:6]
    assert rainy == [dict(clean, pipeline=[load, rain, *rest]) for rain in rains]
    assert cfg.test_evaluator.dataset_prefixes == names
    metrics = cfg.test_evaluator.metrics
    assert [metric.ann_file for metric in metrics] == [clean.ann_file] * len(names)


def test_no_workers_means_no_persistent_workers():
    cfg = load_config(MS, {"train_dataloader.num_workers": 0})
    assert cfg.train_dataloader.persistent_workers is False
    assert cfg.val_dataloader.persistent_workers is True


def test_configs_of_others_are_left_alone(tmp_path):
    path = tmp_path / "other.py"
    path.write_text("data_root = 'x'\nmodel = dict(num_classes=80)\n")
    assert load_config(path).to_dict() == Config.fromfile(path).to_dict()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (dict(data_root=""), "data_root must be the path of a folder"),
        (dict(rainy_root=3), "rainy_root must be the path of a folder, got 3"),
        (dict(classes=[]), "classes must be distinct category names"),
        (dict(classes=["car", "car"]), "classes must be distinct category names"),
        (dict(image_size=100), "image_size must be a positive multiple of 32 px, .*got 100"),
        (dict(image_size=(640, 100)), r"two of them as \(width, height\), got \(640, 100\)"),
        (dict(image_size=(640, 640, 3)), r"two of them as \(width, height\)"),
        (dict(image_size=True), "positive multiple of 32 px"),
        (dict(classes=(1, 2)), r"category names, as text, .*got \(1, 2\)"),
        (dict(image_size="640"), "image_size must be a positive multiple of 32 px, .*got '640'"),
    ],
)
def test_unusable_settings(setting, message):
    with pytest.raises(ValueError, match=message):
        load_config(MS, copy.deepcopy(setting))


def test_control_follows_phase_two_of_the_full_run():
    full, control = (
        load_config(CONFIGS / f"rtdetr_r18_{n}.py") for n in ("featderain_ms", "finetune_mix")
    )
    first, _ = full.phases.joint.epochs
    assert control.train_cfg.max_epochs == full.train_cfg.max_epochs - first + 1
    assert control.default_hooks.sampler_seed.epoch_offset == first - 1
    assert control.phases == dict(finetune=dict(epochs=(1, None), lr={"*": 1e-5}))
    assert full.phases.joint.lr["*"] == 1e-5
    for name in ("train_dataloader", "val_dataloader", "optim_wrapper", "load_from"):
        assert control[name] == full[name]
    assert "neck" not in control.model.neck


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow if "r101" in p.stem else ()) for p in RTDETR],
    ids=lambda path: path.stem,
)
def test_models_build_and_phases_find_their_parameters(path):
    cfg = load_config(path)
    names = [name for name, _ in MODELS.build(cfg.model).named_parameters()]
    assert cfg.default_hooks.phases == dict(type="PhasedTrainingHook")
    if "phases" not in cfg:
        assert path.stem == "rtdetr_r18_coco"
        return
    phases = parse_phases(cfg.phases)
    check_patterns(phases, trainable=names, every=names)
    assert phases[-1].first_epoch <= cfg.train_cfg.max_epochs
    assert phases[-1].last_epoch is None, "another length is one override"
    if len(phases) == 2:
        first = {name for name in names if phases[0].pattern_of(name)}
        assert first == {name for name in names if name.startswith("neck.derain.")}
