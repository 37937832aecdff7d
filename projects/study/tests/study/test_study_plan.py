import json
from dataclasses import replace
from pathlib import Path

import pytest

from derain_plugin import load_config
from projects.study.arm_configs import arm_config
from projects.study.arms import ARMS, find_arms
from projects.study.coco_folder import STUDY
from projects.study.layout import Layout
from projects.study.plan import plan_steps
from projects.study.steps.run_steps import unfinished_steps

CONFIG = """
data_root = "data/some/"
model = dict(
    type="RTDETR",
    data_preprocessor=dict(batch_augments=[dict(type="BatchRandomResize", sizes=[32])]),
)
train_dataloader = dict(num_workers=2, dataset=dict(type="RainMixDataset", seed=0))
train_cfg = dict(max_epochs=6)
phases = dict(alone=dict(epochs=(1, 2)), joint=dict(epochs=(3, None)))
custom_hooks = [dict(type="EMAHook")]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1), logger=dict(interval=50))
tested = dict(ann_file=data_root + "annotations/instances_test2017.json")
test_dataloader = dict(num_workers=2, dataset=dict(datasets=[tested, tested]))
test_evaluator = dict(metrics=[tested, tested])
load_from = None
"""
RESTORED = CONFIG + 'model["data_preprocessor"]["restorer"] = dict(type="SPDNet")\n'
RESTORER = CONFIG.replace("seed=0", "").replace("data_preprocessor=", "restorer=")


def write_configs(folder, **changed):
    """Stand-ins for the arms' configs, which differ in one number."""
    folder.mkdir()
    texts = {arm.config: CONFIG for arm in ARMS}
    texts |= dict(spdnet=RESTORED, spdnet_rain=RESTORER)
    for number, (name, text) in enumerate((texts | changed).items()):
        (folder / f"{name}.py").write_text(f"{text}randomness = dict(number={number})\n")
    return lambda family, name, options=None: load_config(folder / f"{name}.py", options)


@pytest.fixture
def layout(tmp_path):
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    for split in ("train", "val", "test"):
        (data / f"annotations/instances_{split}2017.json").touch()
    configs = write_configs(tmp_path / "configs")
    return Layout("study", tmp_path / "work", tmp_path / "results", "test", data, configs)


def plan(layout, names, seeds=(1, 2, 3)):
    """Steps by name, without their settings."""
    steps = plan_steps(layout, find_arms(names.split()), seeds)
    assert unfinished_steps(steps, layout.folder) == steps  # in order
    return {step.name.rpartition(" (")[0]: step for step in steps}


def needs(steps, name):
    return [need.rpartition(" (")[0] for need in steps[name].needs]


def option(step, name):
    """What the step's config is written with."""
    return step.prepare.args[-1].get(name)


def after(step, name):
    return step.command[step.command.index(name) + 1]


def finish(layout, steps):
    """Leave the results of steps."""
    for step in steps.values():
        if "--settings" in step.command:
            file = Path(after(step, "--out"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(dict(settings=step.settings)))
    timed = dict(arms={arm.name: 1 for arm in ARMS})
    (layout.results / "latency.json").write_text(json.dumps(timed))


def test_an_arm_needs_its_training_and_vanilla_and_the_data(layout):
    layout.annotations("test").unlink()  # written last
    steps = plan(layout, "control", seeds=[7])
    assert list(steps) == [
        "make the data", "train rtdetr_coco, seed 0", "train finetune_mix, seed 7",
        "test control on test, seed 7", "record control on test, seed 7",
        "diagnose control on test", "time the detectors",
    ]  # fmt: skip
    assert needs(steps, "train rtdetr_coco, seed 0") == ["make the data"]
    assert "train rtdetr_coco, seed 0" in needs(steps, "train finetune_mix, seed 7")
    assert "train finetune_mix, seed 7" in needs(steps, "test control on test, seed 7")
    assert set(needs(steps, "time the detectors")) == {*steps} - {"time the detectors"}


def test_data_that_is_there_is_not_made(layout):
    assert "make the data" not in plan(layout, "control")


def test_seeds_vary_everything_after_vanilla(layout):
    steps = plan(layout, "vanilla control control_fast", seeds=[5, 6])
    trainings = [name for name in steps if name.startswith("train")]
    assert trainings == [
        "train rtdetr_coco, seed 0", "train finetune_mix, seed 5", "train finetune_mix, seed 6",
        "train finetune_mix_fast, seed 5",
    ]  # fmt: skip
    vanilla, control, other, _ = (steps[name] for name in trainings)
    checkpoint = str(vanilla.work_dir / "epoch_6.pth")
    assert option(vanilla, "load_from") is None
    for step, seed in ((control, 5), (other, 6)):
        assert option(step, "load_from") == checkpoint
        assert option(step, "randomness.seed") == seed
        assert option(step, "train_dataloader.dataset.seed") == seed
        assert option(step, "model.data_preprocessor.batch_augments.0.seed") == seed
    assert control.work_dir != other.work_dir
    assert after(steps["record vanilla on test, seed 0"], "--seed") == "0"


def test_arms_that_differ_in_the_phase_share_a_training(layout):
    steps = plan(layout, "ms ms_phase1", seeds=[1])
    (training,) = [step for name, step in steps.items() if name.startswith("train featderain_ms")]
    epochs = [steps[f"test {arm} on test, seed 1"].command[3] for arm in ("ms", "ms_phase1")]
    assert epochs == [str(training.work_dir / f"epoch_{epoch}.pth") for epoch in (6, 2)]
    assert training.epochs == 6


def test_the_record_gets_what_the_commands_leave(layout):
    steps = plan(layout, "control", seeds=[1])
    training = steps["train finetune_mix, seed 1"]
    test = steps["test control on test, seed 1"]
    record = steps["record control on test, seed 1"]
    assert after(record, "--tested") == after(test, "--work-dir")
    assert after(test, "--out").startswith(after(record, "--tested"))
    assert after(record, "--scalars") == str(training.work_dir)
    slug = "train_finetune_mix_seed_1_" + training.settings[:8]
    assert after(record, "--timing") == str(layout.folder / f"steps/{slug}_.json")
    assert after(record, "--annotations") == str(layout.annotations("test"))
    assert after(record, "--out") == str(layout.results / "arms/control/test_seed1.json")


def test_the_first_seed_of_an_arm_is_diagnosed(layout):
    steps = plan(layout, "control spdnet_control", seeds=[5, 6])
    (diagnosis,) = [step for name, step in steps.items() if name.startswith("diagnose")]
    test = steps["test control on test, seed 5"]
    assert diagnosis.needs == (test.name,)
    assert diagnosis.command[4] == test.command[3]  # the weights
    assert after(diagnosis, "--out") == str(layout.results / "diagnosis/test_control.json")
    Path(after(diagnosis, "--out")).parent.mkdir(parents=True)
    Path(after(diagnosis, "--out")).write_text(json.dumps(dict(settings=diagnosis.settings)))
    assert "diagnose control on test" not in plan(layout, "control", seeds=[5, 6])


def test_validation_moves_every_condition(layout):
    layout = replace(layout, split="val")
    test = plan(layout, "control", seeds=[1])["test control on val, seed 1"]
    for place in (0, 1):
        dataset = f"test_dataloader.dataset.datasets.{place}"
        assert option(test, f"{dataset}.data_prefix.img") == f"{layout.data}/val2017/"
        for part in (dataset, f"test_evaluator.metrics.{place}"):
            assert option(test, f"{part}.ann_file") == str(layout.annotations("val"))


def test_slow_arms_see_the_first_images_behind_a_trained_restorer(layout):
    steps = plan(layout, "spdnet_vanilla spdnet_control")
    listing = steps["list the first 100 images of test"]
    restorer = steps["train spdnet_rain, seed 0"]
    assert option(restorer, "train_dataloader.dataset.seed") is None
    for arm, weights, seed in (
        ("spdnet_vanilla", "train rtdetr_coco, seed 0", 1),
        ("spdnet_control", "train finetune_mix, seed 1", 1),
    ):
        test = steps[f"test {arm} on test, seed {seed}"]
        assert test.command[3] == str(steps[weights].work_dir / "epoch_6.pth")
        assert "study_spdnet.py" in test.command[2]
        loaded = option(test, "model.data_preprocessor.restorer.init_cfg")
        assert loaded["checkpoint"] == str(restorer.work_dir / "epoch_6.pth")
        assert loaded["prefix"] == "restorer."
        found = option(test, "test_evaluator.metrics.1.ann_file")
        assert found == listing.command[-1]
        assert {restorer.name, listing.name, steps[weights].name} <= set(test.needs)
        record = steps[f"record {arm} on test, seed {seed}"]
        assert after(record, "--annotations") == found
        assert not {"--scalars", "--timing"} & set(record.command)


def test_recalibration_starts_from_vanilla(layout):
    steps = plan(layout, "bn_statistics")
    step = steps["recalibrate bn_statistics, seed 1"]
    vanilla = steps["train rtdetr_coco, seed 0"]
    assert step.command[3] == str(vanilla.work_dir / "epoch_6.pth")
    assert steps["test bn_statistics on test, seed 1"].command[3] == after(step, "--out")
    record = steps["record bn_statistics on test, seed 1"]
    assert "recalibrate" in after(record, "--timing")
    assert "--scalars" not in record.command
    assert after(step, "--out").startswith(after(step, "--work-dir"))


def test_vanilla_teaches_where_a_config_says_so(layout, tmp_path):
    taught = CONFIG + 'model["consistency_weight"] = 1.0\n'
    configs = write_configs(tmp_path / "taught", featderain_ms=taught)
    steps = plan(replace(layout, configs=configs), "ms", seeds=[1])
    training, test = steps["train featderain_ms, seed 1"], steps["test ms on test, seed 1"]
    assert option(training, "model.teacher") == option(training, "load_from")
    assert option(training, "model.consistency_weight") is None
    assert option(test, "model.consistency_weight") == 0  # no teacher is needed


def test_the_config_of_a_command_is_one_file_with_all_that_the_plan_says(layout):
    layout = replace(layout, configs=arm_config)
    steps = plan(layout, "control spdnet_control", seeds=[7])
    training = steps["train finetune_mix, seed 7"]
    file = training.work_dir / "study_finetune_mix.py"
    assert training.command[2:] == (str(file), "--work-dir", str(training.work_dir))
    assert not file.exists()  # a plan alone writes nothing
    training.prepare()
    cfg, own = load_config(file), arm_config("study", "finetune_mix")
    assert cfg.randomness.seed == cfg.train_dataloader.dataset.seed == 7
    assert cfg.load_from == str(steps["train rtdetr_coco, seed 0"].work_dir / "epoch_20.pth")
    assert cfg.test_dataloader.dataset.datasets[0].ann_file.startswith(str(layout.data))
    assert cfg.phases == own.phases
    assert list(cfg.phases) == ["finetune"]  # none of its base
    assert cfg.model.neck == own.model.neck
    test = steps["test spdnet_control on test, seed 7"]
    test.prepare()
    cfg = load_config(test.command[2])
    assert "restorer" not in own.model.data_preprocessor
    assert cfg.model.data_preprocessor.restorer.init_cfg.prefix == "restorer."
    assert "_100_" in cfg.test_dataloader.dataset.datasets[3].ann_file


def test_published_weights_are_taken_as_they_are(layout, tmp_path):
    published = CONFIG.replace("load_from = None", 'load_from = "hf://some/detector"')
    layout = replace(layout, configs=write_configs(tmp_path / "hub", rtdetr_coco=published))
    steps = plan(layout, "vanilla control", seeds=[1])
    assert "train rtdetr_coco, seed 0" not in steps
    assert option(steps["train finetune_mix, seed 1"], "load_from") == "hf://some/detector"
    assert "--timing" not in steps["record vanilla on test, seed 0"].command


def test_only_missing_results_are_made(layout):
    steps = plan(layout, "vanilla control ms")
    finish(layout, steps)
    assert plan(layout, "vanilla control ms") == {}
    layout.record_file(*find_arms(["ms"]), 2).unlink()
    assert list(plan(layout, "vanilla control ms")) == [
        "train rtdetr_coco, seed 0", "train featderain_ms, seed 2", "test ms on test, seed 2",
        "record ms on test, seed 2",
    ]  # fmt: skip
    assert list(plan(layout, "control", seeds=[3, 4]))[-1] == "record control on test, seed 4"


def test_committed_results_count_on_any_machine(layout, tmp_path):
    finish(layout, plan(layout, "control spdnet_control bn_statistics"))
    # Also without data, whose identity is that of the data to be made.
    elsewhere = replace(layout, folder=tmp_path / "other", given_data=tmp_path / "nowhere")
    assert plan(elsewhere, "control spdnet_control bn_statistics") == {}


@pytest.mark.parametrize(
    ("config", "change", "left"),
    [
        ("finetune_mix", "train_cfg['max_epochs'] = 7", "control spdnet_control"),
        ("finetune_mix", "default_hooks['sampler_seed'] = 5", "control spdnet_control"),
        ("finetune_mix", "train_dataloader['num_workers'] = 0", ""),
        ("finetune_mix", "default_hooks['logger']['interval'] = 1", ""),
        ("featderain_ms", "train_cfg['max_epochs'] = 7", "ms"),
        ("spdnet_rain", "train_cfg['max_epochs'] = 7", "spdnet_control"),
        ("rtdetr_coco", "train_cfg['max_epochs'] = 7", "vanilla control ms spdnet_control"),
        ("rtdetr_coco", "test_evaluator['metric'] = 7", "vanilla"),
    ],
)
def test_a_changed_config_concerns_its_arm_and_what_starts_from_it(
    layout, tmp_path, config, change, left
):
    text = RESTORER if config == "spdnet_rain" else CONFIG
    changed = write_configs(tmp_path / "changed", **{config: f"{text}{change}\n"})
    arms = "vanilla control ms spdnet_control"
    finish(layout, plan(layout, arms, seeds=[1]))
    steps = plan(replace(layout, configs=changed), arms, seeds=[1])
    found = [after(step, "--arm") for step in steps.values() if "--arm" in step.command]
    assert found == left.split()


def test_a_changed_test_repeats_no_training(layout, tmp_path):
    changed = write_configs(tmp_path / "new", finetune_mix=CONFIG + "test_evaluator['a'] = 7\n")
    before, now = plan(layout, "control"), plan(replace(layout, configs=changed), "control")
    for name, step in now.items():
        same = step.name == before[name].name
        assert same == name.startswith(("train", "time"))


def test_other_data_is_another_study(layout):
    before = plan(layout, "vanilla")["test vanilla on test, seed 0"].settings
    marker = layout.data / "study_coco.json"
    made = dict(version=STUDY.version, seed=1, num_images=dict(train=1, val=1, test=1))
    marker.write_text(json.dumps(made))
    assert plan(layout, "vanilla")["test vanilla on test, seed 0"].settings != before
    marker.write_text(json.dumps(dict(made, version=0)))
    with pytest.raises(ValueError, match="study data of version 0, this is version"):
        plan(layout, "vanilla")


def test_detectors_are_timed_last_and_once(layout):
    steps = plan(layout, "vanilla control")
    finish(layout, steps)
    (layout.results / "latency.json").write_text(json.dumps(dict(arms=dict(vanilla=1))))
    assert list(plan(layout, "vanilla")) == []
    assert list(plan(layout, "vanilla control")) == ["time the detectors"]
    layout.record_file(*find_arms(["vanilla"]), 0).unlink()
    steps = plan(layout, "vanilla control")
    assert set(needs(steps, "time the detectors")) == {*steps} - {"time the detectors"}


def test_other_families_bring_their_data(layout):
    layout = replace(layout, family="coco")
    layout.annotations("test").unlink()  # which COCO has none of
    assert "train finetune_mix, seed 1" in plan(layout, "control")
    layout.annotations("val").unlink()
    with pytest.raises(FileNotFoundError, match="say with --data where the COCO-format data is"):
        plan(layout, "control")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default_hooks['checkpoint']['max_keep_ckpts'] = 4", "tested after epoch 2, but"),
        ("phases = {}", "after phase 1, but featderain_ms has 0"),
    ],
)
def test_a_checkpoint_that_is_not_kept(layout, tmp_path, text, message):
    layout = replace(
        layout, configs=write_configs(tmp_path / "new", featderain_ms=CONFIG + text + "\n")
    )
    with pytest.raises(ValueError, match=message):
        plan(layout, "ms_phase1")
    assert plan(layout, "ms")


def test_names_of_arms():
    names = [arm.name for arm in ARMS]
    assert len(set(names)) == len(names)
    assert names[0] == "vanilla"
    assert [arm.name for arm in find_arms(["ms", "control"])] == ["control", "ms"]
    with pytest.raises(ValueError, match="unknown arms best, worst; there are vanilla, control"):
        find_arms(["worst", "ms", "best"])
