"""The configs of the study's arms: on embedded data, and on COCO."""

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from torch import nn

from derain_plugin import load_config
from derain_plugin.engine.hooks.phase import check_patterns, parse_phases
from projects.study import settings
from projects.study.arm_configs import arm_config, main
from projects.study.arms import ARMS
from projects.study.glyphs import CLASSES

FAMILIES = "study", "coco"
STEMS = sorted({arm.config for arm in ARMS})
ADAPTERS = "early_ms_adapter", "early_ms_adapter_stem"
CURRICULUM = "early_ms_mild", "early_ms_curriculum"
OTHERS = "rtdetr_coco", "bn_affine", "bn_statistics", "spdnet", *ADAPTERS, *CURRICULUM
JOINT = [stem for stem in STEMS if stem not in OTHERS and "finetune" not in stem]
TAUGHT = dict(
    consistency={"consistency"},
    finetune_twin={"consistency"},
    mask={"mask"},
    early_ms_twin={"consistency", "mask", "gate"},
    **{name: {"consistency", "mask", "gate"} for name in ADAPTERS},
)


def phases_of(cfg):
    return parse_phases(settings.phases_of(cfg))


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A vanilla checkpoint of each family."""
    folder = tmp_path_factory.mktemp("teachers")
    for family in FAMILIES:
        cfg = arm_config(family, "rtdetr_coco", dict(classes=("square", "disc")))
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), folder / f"{family}.pth")
    return folder


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("family", ["study", pytest.param("coco", marks=pytest.mark.slow)])
def test_takes_a_training_step_on_a_folder_of_coco_format(family, stem, coco_root, teachers):
    options = dict(data_root=str(coco_root), classes=("square", "disc"), image_size=192)
    taught = TAUGHT.get(stem, set())
    if "consistency" in taught:
        options["model.teacher"] = str(teachers / f"{family}.pth")
    cfg = arm_config(family, stem, options)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    if "consistency" in taught:
        model.init_weights()  # reads the teacher
    model.train()
    images = DATASETS.build(cfg.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([images[0], images[1]]), training=True)
    losses = model(**batch, mode="loss")
    assert torch.isfinite(model.parse_losses(losses)[0])
    assert {name for name in ("consistency", "mask", "gate") if f"loss_{name}" in losses} == taught
    names = [name for name, _ in model.named_parameters()]
    if stem not in ("rtdetr_coco", "bn_statistics"):
        check_patterns(phases_of(cfg), trainable=names, every=names)


@pytest.mark.parametrize("stem", sorted({*STEMS} - {"rtdetr_coco", "spdnet", "early_ms_mild"}))
@pytest.mark.parametrize("family", FAMILIES)
def test_all_arms_see_the_same_in_the_same_optimizer(family, stem):
    cfg = arm_config(family, stem)
    control = arm_config(family, "finetune_mix")
    assert seen(cfg) == seen(control)
    for key in ("optim_wrapper", "load_from", "randomness", "image_size", "data_root"):
        assert cfg[key] == control[key], key


@pytest.mark.parametrize("stem", JOINT)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_control_repeats_the_joint_phase_of_the_others(family, stem):
    cfg = arm_config(family, stem)
    control = arm_config(family, "finetune_mix")
    (only,) = phases_of(control)
    alone, joint = phases_of(cfg)
    assert "*" not in alone.lr
    assert joint.lr["*"] == only.lr["*"]
    assert joint.first_epoch - 1 == control.default_hooks.sampler_seed.epoch_offset
    assert joint.last_epoch - joint.first_epoch == only.last_epoch - only.first_epoch
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == -1  # it is tested after phase 1, too


@pytest.mark.parametrize("family", FAMILIES)
def test_the_curriculum_is_the_same_training_in_other_rain(family):
    mild, rest = (arm_config(family, stem) for stem in CURRICULUM)
    whole = arm_config(family, "early_ms")
    assert mild.synthetic_rain == (1, 3)
    assert rest.synthetic_rain == whole.synthetic_rain == (1, 5)
    assert rest.default_hooks.sampler_seed.epoch_offset == mild.train_cfg.max_epochs
    assert mild.train_cfg.max_epochs + rest.train_cfg.max_epochs == whole.train_cfg.max_epochs
    alone, joint = phases_of(whole)
    assert [phase.lr for phase in phases_of(mild)] == [alone.lr, joint.lr]
    assert [phase.lr for phase in phases_of(rest)] == [joint.lr]


def seen(cfg):
    """What is shown in training: ``RainTwin`` renders the rain that ``SyntheticRain`` does."""
    mix = cfg.train_dataloader.dataset
    sides = []
    for side in (mix.clean, mix.rainy):
        steps = [dict(step) for step in side.pipeline]
        for step in steps:
            if step["type"] == "RainTwin":
                step["type"] = "SyntheticRain"
        kept = [step for step in steps if step.get("severity") != 0]
        sides.append((kept, side.ann_file, side.data_prefix))
    return sides, mix.rain_ratio, mix.percent, mix.seed, cfg.train_dataloader.batch_size


def test_batch_norms_are_all_named():
    cfg = arm_config("study", "bn_affine")
    (phase,) = phases_of(cfg)
    model = MODELS.build(cfg.model)
    norms = {
        f"{name}.{part}"
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for part in ("weight", "bias")
    }
    trained = {name for name, _ in model.named_parameters() if phase.pattern_of(name)}
    assert trained == norms


def test_the_embedded_family_tests_on_a_split_of_its_own():
    cfg = arm_config("study", "finetune_mix")
    assert cfg.classes == CLASSES
    tests = cfg.test_dataloader.dataset.datasets
    assert len(tests) == 7
    assert all("test2017" in part.ann_file for part in tests)
    assert sum(p.numel() for p in MODELS.build(cfg.model).parameters()) < 3e6


def test_an_unknown_config_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"study has no config best; it has .*spdnet"):
        arm_config("study", "best")


def test_a_config_is_written_as_a_file_that_loads_alike(tmp_path):
    main(["study", "early_ms", str(tmp_path / "new/mine.py")])
    written, expected = load_config(tmp_path / "new/mine.py"), arm_config("study", "early_ms")
    assert {**written} == {**expected}
    with pytest.raises(SystemExit):
        main(["study", "best", str(tmp_path / "best.py")])


def test_options_reach_into_a_part_that_an_arm_sets_whole():
    plain = arm_config("study", "rtdetr_coco")
    cfg = arm_config("study", "rtdetr_coco", {"model.data_preprocessor.batch_augments.0.seed": 3})
    (augment,) = cfg.model.data_preprocessor.pop("batch_augments")
    (other,) = plain.model.data_preprocessor.pop("batch_augments")
    assert augment == {**other, "seed": 3}
    assert cfg.model == plain.model
