"""What of a detector trains in each kind of arm, and what stays as it was."""

from types import SimpleNamespace

import pytest
import torch
from small_detectors import frozen, model_of, prepare_for, write_photos

from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.early_blocks import build_early
from derain_plugin.adapting.frozen_detector import freeze
from projects.study.real.arms import RealArm
from projects.study.real.trainees import EARLY_PLACES, KINDS
from projects.study.real.training import load, save, train

SHORT = dict(iterations=2, batch_size=2, clean_share=0.0, lr=1e-2, then_lr=1e-2)
ARMS = {
    "neck": (RealArm("neck", "", "neck", SHORT), {"derain"}),
    "early": (RealArm("early", "", "neck", dict(SHORT, early=True)), {"derain", "early"}),
    "filter": (RealArm("filter", "", "filter", dict(SHORT, neck=None)), {"filter"}),
    "filter_neck": (RealArm("filter_neck", "", "filter", SHORT), {"derain", "filter"}),
    "all": (RealArm("all", "", "all", dict(SHORT, neck=None)), {"detector"}),
    "neck_then_all": (RealArm("neck_then_all", "", "neck_then_all", SHORT), {"detector"}),
    "fog": (RealArm("fog", "", "fog", SHORT), {"derain"}),
    "restorer": (RealArm("restorer", "", "restorer", dict(SHORT, neck=None)), {"restorer"}),
}  # fmt: skip
BLOCKS = "neck.derain.", "backbone.derain.", "backbone.image_filter."


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    paths = write_photos(tmp_path_factory.mktemp("photos"))
    return SimpleNamespace(training=lambda names: paths[:4], fog_targets=lambda: paths[4:])


def build(arm, photos):
    model = model_of("yolox")
    early = build_early(model, EARLY_PLACES if arm.recipe.early else ())
    detector = freeze(model, prepare_for("yolox"), early=early)
    if arm.recipe.neck is None:
        detector.take_out()
    torch.manual_seed(1)
    return KINDS[arm.kind](detector, arm.recipe, photos, 1)


@pytest.mark.parametrize("name", ARMS)
def test_parts_train_and_the_rest_stays_bitwise(name, photos, tmp_path):
    arm, parts = ARMS[name]
    trainee = build(arm, photos)
    assert set(trainee.parts) == parts
    model = trainee.detector.model
    fresh = {key: value.clone() for key, value in model.state_dict().items()}
    before = {key: part.state_dict() for key, part in trainee.parts.items()}
    before = {key: hash_of(state) for key, state in before.items()}
    losses = train(trainee, arm, photos, seed=1)
    assert len(losses) == 2
    assert all(hash_of(part.state_dict()) != before[key] for key, part in trainee.parts.items())
    changed = {
        key for key, value in model.state_dict().items() if not torch.equal(value, fresh[key])
    }
    assert not any("running_" in key for key in changed)
    if "detector" not in parts:
        assert all(key.startswith(BLOCKS) for key in changed)

    save(trainee, losses, tmp_path / "trained.pth")
    again = build(arm, photos)
    assert load(again, tmp_path / "trained.pth") == losses
    assert hash_of(again.parts.state_dict()) == hash_of(trainee.parts.state_dict())
    assert hash_of(again.detector.model.state_dict()) == hash_of(model.state_dict())


def test_the_same_seed_trains_the_same_weights(photos):
    arm, _ = ARMS["neck"]
    hashes = []
    for seed in (1, 1, 2):
        trainee = build(arm, photos)
        train(trainee, arm, photos, seed=seed)
        hashes.append(hash_of(trainee.parts.state_dict()))
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_second_phase_trains_everything_and_the_first_the_neck_alone(photos):
    trainee = build(ARMS["neck_then_all"][0], photos)
    first, second = trainee.phases
    assert (first.iterations, second.iterations) == (1, 1)
    neck = {id(each) for each in trainee.detector.derain.parameters()}
    assert {id(each) for group in first.groups for each in group["params"]} == neck
    everything = [id(each) for group in second.groups for each in group["params"]]
    assert sorted(everything) == sorted(id(each) for each in trainee.parts.parameters())
    assert [group["lr"] for group in second.groups] == pytest.approx([1e-3, 1e-2])


def test_vanilla_has_nothing_to_train(photos):
    trainee = KINDS["vanilla"](frozen("yolox"))
    assert not list(trainee.parts.parameters())
    assert trainee.phases == []
    assert not any("derain" in key for key in trainee.detector.model.state_dict())
