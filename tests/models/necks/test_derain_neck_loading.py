"""A checkpoint with or without a de-rain neck, through every way of loading it."""

import copy
from collections.abc import Callable

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import ExponentialMovingAverage
from mmengine.runner import Runner, load_checkpoint, load_state_dict
from torch import nn
from toy_detector import DERAIN, DERAINED, FPN, feats, toy

from derain_plugin.models import keep_when_missing, loading
from derain_plugin.models.necks import DerainNeck
from derain_plugin.models.necks.derain_neck import require_whole_checkpoint


def equal_states(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def by_torch(model: nn.Module, state: dict, _folder) -> None:
    assert not any(model.load_state_dict(state, strict=False))


def by_torch_strictly(model: nn.Module, state: dict, _folder) -> None:
    model.load_state_dict(state)


def by_mmengine_strictly(model: nn.Module, state: dict, _folder) -> None:
    load_state_dict(model, state, strict=True)


def by_file(model: nn.Module, state: dict, folder) -> None:
    torch.save(dict(state_dict=state), folder / "checkpoint.pth")
    load_checkpoint(model, str(folder / "checkpoint.pth"))


def by_file_of_a_wrapped_model(model: nn.Module, state: dict, folder) -> None:
    by_file(model, {f"module.{key}": value for key, value in state.items()}, folder)


def by_outer_module(model: nn.Module, state: dict, _folder) -> None:
    outer = nn.ModuleDict(dict(ema=nn.ModuleDict(dict(module=model))))
    outer.load_state_dict({f"ema.module.{key}": value for key, value in state.items()})


def by_pretrained_init(model: nn.Module, state: dict, folder) -> None:
    torch.save(dict(state_dict=state), folder / "checkpoint.pth")
    model.init_cfg = dict(type="Pretrained", checkpoint=str(folder / "checkpoint.pth"))
    model.init_weights()


def by_pretrained_init_of_the_neck(model: nn.Module, state: dict, folder) -> None:
    torch.save(dict(state_dict=state), folder / "checkpoint.pth")
    model.neck.init_cfg = dict(
        type="Pretrained", checkpoint=str(folder / "checkpoint.pth"), prefix="neck."
    )
    model.neck.init_weights()
    model.backbone.load_state_dict(
        {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    )


WAYS = [
    by_torch,
    by_torch_strictly,
    by_mmengine_strictly,
    by_file,
    by_file_of_a_wrapped_model,
    by_outer_module,
    by_pretrained_init,
    by_pretrained_init_of_the_neck,
]
Way = Callable[[nn.Module, dict, object], None]


@pytest.mark.parametrize("way", WAYS)
class TestEveryWayOfLoading:
    def test_a_vanilla_checkpoint_fills_everything_but_the_derain_part(self, way: Way, tmp_path):
        vanilla, model = toy(FPN, seed=1), toy(seed=2)
        fresh = copy.deepcopy(model.neck.derain.state_dict())
        state = vanilla.state_dict()
        way(model, state, tmp_path)
        assert equal_states(model.neck.neck.state_dict(), vanilla.neck.state_dict())
        assert equal_states(model.backbone.state_dict(), vanilla.backbone.state_dict())
        assert equal_states(model.neck.derain.state_dict(), fresh)
        assert "neck.neck.lateral_convs.0.conv.weight" not in state, "the caller's dict changed"
        for ours, theirs in zip(model.neck(feats()), vanilla.neck(feats()), strict=True):
            assert torch.equal(ours, theirs)

    def test_an_own_checkpoint_fills_everything(self, way: Way, tmp_path):
        trained, model = toy(seed=1), toy(seed=2)
        nn.init.normal_(trained.neck.derain.blocks[0].expand.weight)
        way(model, trained.state_dict(), tmp_path)
        assert equal_states(model.state_dict(), trained.state_dict())

    @pytest.mark.parametrize(
        ("neck", "lost"),
        [
            (FPN, "neck.fpn_convs.0.conv.bias"),
            (DERAINED, "neck.neck.fpn_convs.0.conv.bias"),
            (DERAINED, "neck.derain.blocks.1.blend"),
        ],
    )
    def test_anything_else_missing_is_an_error(self, way: Way, neck, lost, tmp_path):
        state = toy(neck).state_dict()
        del state[lost]
        name = "neck.fpn_convs.0.conv.bias" if neck is FPN else lost.removeprefix("neck.")
        with pytest.raises(ValueError, match=f"misses 1: .*{name}. Load"):
            way(toy(), state, tmp_path)

    def test_a_checkpoint_without_any_neck_is_an_error(self, way: Way, tmp_path):
        state = toy(FPN).backbone.state_dict(prefix="backbone.")
        with pytest.raises((ValueError, AssertionError), match=r"misses 8|neck"):
            way(toy(), state, tmp_path)

    def test_a_neck_of_other_shapes_is_an_error(self, way: Way, tmp_path):
        state = toy(dict(FPN, out_channels=4)).state_dict()
        with pytest.raises(ValueError, match=r"has in another shape 8: size mismatch"):
            way(toy(), state, tmp_path)

    @pytest.mark.parametrize("num_residual_blocks", [1, 3])
    def test_another_derain_neck_is_an_error(self, way: Way, num_residual_blocks, tmp_path):
        derain = dict(DERAIN, num_residual_blocks=num_residual_blocks)
        state = toy(dict(DERAINED, derain=derain)).state_dict()
        with pytest.raises(
            ValueError, match=r"(misses|unlike the model, ).*derain.blocks.0.refine"
        ):
            way(toy(), state, tmp_path)


def test_a_failed_load_does_not_spoil_the_next_one():
    model, state = toy(), toy(FPN, seed=1).state_dict()
    with pytest.raises(ValueError, match="misses"):
        load_state_dict(model, {})
    load_state_dict(model, state, strict=True)


@pytest.mark.parametrize("way", [by_torch, by_file, by_outer_module, by_pretrained_init])
@pytest.mark.parametrize("part", ["backbone.0.bias", "head.weight"])
def test_what_other_parts_of_the_detector_miss_is_an_error(way, part, tmp_path):
    model = toy()
    model.head = nn.Linear(2, 2)  # loaded after the neck
    handle = require_whole_checkpoint(model)
    state = copy.deepcopy(model.state_dict())
    del state[part]
    with pytest.raises(ValueError, match=f"this ToyDetector: it misses 1: .*{part}"):
        way(model, state, tmp_path)
    handle.remove()
    load_state_dict(model, state)


def test_a_detector_without_such_a_neck_is_left_to_mmengine():
    assert require_whole_checkpoint(toy(FPN)) is None


def test_one_line_says_that_the_derain_weights_are_the_fresh_ones(monkeypatch):
    said = []
    monkeypatch.setattr(loading, "print_log", lambda line, **_: said.append(line))
    load_state_dict(toy(), toy(FPN).state_dict())
    assert len(said) == 1
    assert "no de-rain weights" in said[0]
    assert "MultiScaleFeatureDerain" in said[0]
    load_state_dict(toy(), toy().state_dict())
    assert len(said) == 1


def test_an_inner_neck_with_an_attribute_called_neck():
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neck = nn.Conv2d(1, 1, 1)
            self.last = nn.Conv2d(1, 1, 1)

    derain = MODELS.build(DERAIN)
    vanilla, model = Inner(), DerainNeck(derain=derain, neck=Inner())
    model.load_state_dict(vanilla.state_dict())
    assert equal_states(model.neck.state_dict(), vanilla.state_dict())
    own = copy.deepcopy(model.state_dict())
    without_derain = {k: v for k, v in own.items() if not k.startswith("derain.")}
    for state in (own, without_derain):
        other = DerainNeck(derain=copy.deepcopy(derain), neck=Inner())
        other.load_state_dict(state)
        assert equal_states(other.state_dict(), own)


def test_a_batch_norm_neck_keeps_its_running_statistics():
    normed = dict(FPN, norm_cfg=dict(type="BN"))
    vanilla, model = toy(normed, seed=1), toy(dict(DERAINED, neck=normed))
    vanilla.train().neck(feats())
    model.load_state_dict(vanilla.state_dict())
    assert equal_states(model.neck.neck.state_dict(), vanilla.neck.state_dict())


def test_averaged_models_load_both_kinds():
    model = ExponentialMovingAverage(toy())
    own = copy.deepcopy(model.state_dict())
    model.load_state_dict(own)
    vanilla = ExponentialMovingAverage(toy(FPN, seed=1))
    model.load_state_dict(vanilla.state_dict())
    assert equal_states(model.module.neck.neck.state_dict(), vanilla.module.neck.state_dict())


def make_runner(work_dir, neck: dict, epochs: int, **kwargs) -> Runner:
    return Runner(
        model=toy(neck),
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=[torch.ones(3, 16, 16)] * 2,
            sampler=dict(type="DefaultSampler", shuffle=False),
            batch_size=1,
            collate_fn=lambda images: dict(inputs=torch.stack(images)),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-3)),
        custom_hooks=[dict(type="EMAHook", strict_load=True)],
        default_scope="mmdet",
        experiment_name=f"{work_dir.name}{epochs}",
        **kwargs,
    )


def test_runner_starts_from_vanilla_with_ema_and_resumes_its_own(tmp_path):
    make_runner(tmp_path / "vanilla", FPN, 1).train()
    vanilla = str(tmp_path / "vanilla" / "epoch_1.pth")
    make_runner(tmp_path / "derained", DERAINED, 1, load_from=vanilla).train()
    saved = torch.load(tmp_path / "derained" / "epoch_1.pth", weights_only=False)
    for key in ("state_dict", "ema_state_dict"):
        assert any("neck.neck.lateral_convs" in name for name in saved[key]), key
    runner = make_runner(tmp_path / "derained", DERAINED, 2, resume=True)
    runner.train()
    assert runner.epoch == 2
    assert runner.model.neck.derain.blocks[0].blend.item() != 0


@pytest.mark.parametrize("way", [by_torch_strictly, by_file, by_outer_module])
def test_blocks_of_ones_own_may_be_missing_when_named(way, tmp_path):
    model, vanilla = toy(), toy(FPN, seed=1)
    require_whole_checkpoint(model)
    model.backbone.my_block = nn.Conv2d(8, 8, 1)
    state, fresh = vanilla.state_dict(), copy.deepcopy(model.backbone.my_block.state_dict())
    with pytest.raises(ValueError, match=r"misses 2: backbone.my_block.*keep_when_missing"):
        load_state_dict(model, state)
    handle = keep_when_missing(model.backbone, "my_block")
    way(model, state, tmp_path)
    assert equal_states(model.neck.neck.state_dict(), vanilla.neck.state_dict())
    assert equal_states(model.backbone.my_block.state_dict(), fresh)
    own = {key: value + 1 for key, value in model.state_dict().items()}
    way(model, own, tmp_path)
    assert equal_states(model.state_dict(), own)
    del own["backbone.my_block.bias"]
    with pytest.raises(ValueError, match=r"misses 1: backbone.my_block.bias"):
        load_state_dict(model, own)
    handle.remove()


def test_no_block_of_this_name_is_an_error():
    with pytest.raises(AttributeError, match="my_block"):
        keep_when_missing(toy().backbone, "my_block")
