import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn
from toy_detector import CHANNELS, DERAIN, DERAINED, FPN, feats, toy

from derain_plugin.models.necks import DerainNeck


def test_parts_are_named_derain_and_neck_in_the_state_dict():
    state = toy().state_dict()
    assert {key.split(".")[1] for key in state if key.startswith("neck.")} == {"derain", "neck"}


def test_forward_is_the_inner_neck_of_the_cleaned_levels():
    neck = toy().neck
    for parameter in neck.derain.parameters():
        nn.init.normal_(parameter, std=0.1)
    for ours, by_hand in zip(neck(feats()), neck.neck(neck.derain(feats())), strict=True):
        assert torch.equal(ours, by_hand)
    assert not torch.equal(neck(feats())[0], neck.neck(feats())[0])
    for ours, by_hand in zip(
        neck.rain_masks(feats()), neck.derain.rain_masks(feats()), strict=True
    ):
        assert torch.equal(ours, by_hand)


def test_modules_are_taken_as_they_are():
    derain, inner = MODELS.build(DERAIN), MODELS.build(FPN)
    neck = DerainNeck(derain=derain, neck=inner)
    assert neck.derain is derain
    assert neck.neck is inner
    assert (neck.in_channels, neck.out_channels) == (CHANNELS, 8)


def test_different_channels_name_both_lists_at_construction():
    with pytest.raises(ValueError, match=r"\(8, 32\).*\(8, 16\)"):
        toy(dict(DERAINED, derain=dict(DERAIN, in_channels=(8, 32))))


def test_more_levels_than_the_inner_neck_takes_are_an_error_at_construction():
    with pytest.raises(ValueError, match=r"\(4, 8, 16\).*\(8, 16\)"):
        toy(dict(DERAINED, derain=dict(DERAIN, in_channels=(4, 8, 16))))


def test_channels_of_the_backbone_are_checked_at_the_first_forward():
    mapper = dict(type="ChannelMapper", in_channels=[8, 32], out_channels=8)
    neck = toy(dict(DERAINED, derain=dict(DERAIN, in_channels=(8, 32)), neck=mapper)).neck
    with pytest.raises(ValueError, match=r"\(8, 32\).*\(8, 16\)"):
        neck(feats())


def test_a_neck_that_lists_its_channels_coarse_first_is_accepted():
    yolo = dict(type="YOLOV3Neck", num_scales=2, in_channels=[16, 8], out_channels=[8, 4])
    neck = toy(dict(DERAINED, neck=yolo)).neck
    levels = (torch.ones(1, 8, 8, 8), torch.ones(1, 16, 4, 4))
    assert [out.shape[1] for out in neck(levels)] == [8, 4]


def test_swapped_parts_are_refused():
    with pytest.raises(TypeError, match=r"must be a de-rain neck.*FPN"):
        toy(dict(type="DerainNeck", derain=FPN, neck=DERAIN))


def test_child_configs_change_one_option_of_either_part(tmp_path):
    (tmp_path / "vanilla.py").write_text(f"model = dict(neck={FPN!r})")
    (tmp_path / "derained.py").write_text(
        "_base_ = './vanilla.py'\n"
        f"model = dict(neck=dict(_delete_=True, type='DerainNeck', derain={DERAIN!r},"
        " neck={{_base_.model.neck}}))"
    )
    (tmp_path / "child.py").write_text(
        "_base_ = './derained.py'\n"
        "model = dict(neck=dict(derain=dict(num_residual_blocks=1), neck=dict(num_outs=3)))"
    )
    neck = MODELS.build(Config.fromfile(tmp_path / "child.py").model.neck)
    assert len(neck.derain.blocks[0].refine) == 1
    assert len(neck(feats())) == 3
