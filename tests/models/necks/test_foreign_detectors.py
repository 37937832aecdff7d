"""``DerainNeck`` in front of the necks of mmdet's own detectors."""

from pathlib import Path

import pytest
import torch
from mmdet.apis import init_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.models.necks import derain_neck

SIZE = 64
EVERY_BOX = dict(score_thr=0.0, min_bbox_size=-1, nms_pre=50, max_per_img=20)
VANILLA = dict(
    retinanet=dict(
        base="mmdet::retinanet/retinanet_r18_fpn_1x_coco.py",
        backbone=dict(init_cfg=None),
        neck=dict(out_channels=32),
        bbox_head=dict(num_classes=2, in_channels=32, feat_channels=32, stacked_convs=1),
    ),
    rtmdet=dict(
        base="mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        backbone=dict(init_cfg=None, widen_factor=0.25),
        neck=dict(in_channels=[64, 128, 256], out_channels=32),
        bbox_head=dict(num_classes=2, in_channels=32, feat_channels=32),
    ),
)
DERAINED = """
_base_ = './vanilla.py'
model = dict(
    neck=dict(
        _delete_=True,
        type='DerainNeck',
        derain=dict(type='{derain}', in_channels={channels}),
        neck={{{{_base_.model.neck}}}}))
"""
# RetinaNet's FPN takes four levels and drops the first: so do not give it one.
CHILD = dict(
    retinanet="""
_base_ = './all_levels.py'
model = dict(
    backbone=dict(out_indices=(1, 2, 3)),
    neck=dict(
        derain=dict(in_channels=(128, 256, 512)),
        neck=dict(in_channels=[128, 256, 512], start_level=0)))
""",
    rtmdet="_base_ = './all_levels.py'",
)
GATES = ("blend", "expand.weight", "expand.bias", "suppression", "offset")
CHANNELS = dict(retinanet=(64, 128, 256, 512), rtmdet=(64, 128, 256))
DERAIN = ("MultiScaleFeatureDerain", "LightweightFeatureDerain")


@pytest.fixture(params=VANILLA)
def detector_name(request) -> str:
    return request.param


@pytest.fixture(params=DERAIN)
def derain(request) -> str:
    return request.param


@pytest.fixture
def configs(detector_name: str, derain: str, tmp_path: Path) -> Path:
    """A folder with ``vanilla.py``, its derained child and that one's child ``derained.py``."""
    model = dict(VANILLA[detector_name], test_cfg=EVERY_BOX)
    base = model.pop("base")
    derained = DERAINED.format(derain=derain, channels=CHANNELS[detector_name])
    (tmp_path / "vanilla.py").write_text(f"_base_ = '{base}'\nmodel = {model}\n")
    (tmp_path / "all_levels.py").write_text(derained)
    (tmp_path / "derained.py").write_text(CHILD[detector_name])
    return tmp_path


def build(config: Path) -> nn.Module:
    torch.manual_seed(0)
    detector = revert_sync_batchnorm(MODELS.build(Config.fromfile(config).model))
    detector.init_weights()
    return detector


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(2):
        shape = dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE))
        sample = DetDataSample(metainfo=dict(shape, scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[4.0, 8.0, 40.0, 48.0]]), labels=torch.tensor([1])
        )
        samples.append(sample)
    images = torch.randint(0, 256, (2, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


@torch.no_grad()
def predict(detector: nn.Module) -> list[Tensor]:
    batch = detector.data_preprocessor(make_batch())
    raw = detector(batch["inputs"], mode="tensor")
    found = [sample.pred_instances for sample in detector.eval().test_step(make_batch())]
    return [
        *(level for branch in raw for level in branch),
        *(tensor for one in found for tensor in (one.bboxes, one.scores, one.labels)),
    ]


def save_vanilla(configs: Path) -> tuple[nn.Module, str]:
    vanilla = build(configs / "vanilla.py")
    checkpoint = configs / "vanilla.pth"
    meta = dict(dataset_meta=dict(classes=("square", "disc")))
    torch.save(dict(state_dict=vanilla.state_dict(), meta=meta), checkpoint)
    return vanilla, str(checkpoint)


def test_predictions_of_a_vanilla_checkpoint_are_bitwise_the_same(configs):
    vanilla, checkpoint = save_vanilla(configs)
    expected = predict(vanilla.eval())
    assert all(tensor.numel() for tensor in expected), "nothing to compare"
    for config in ("derained.py", "all_levels.py"):
        derained = init_detector(str(configs / config), checkpoint, device="cpu")
        for ours, theirs in zip(predict(derained), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_an_iteration_from_fresh_weights_trains_every_gate(configs):
    detector = build(configs / "derained.py").train()
    feats = detector.backbone(torch.randn(2, 3, SIZE, SIZE))
    for cleaned, feat in zip(detector.neck.derain(feats), feats, strict=True):
        assert torch.equal(cleaned, feat), "init_weights opened a gate"
    gates = {k: p for k, p in detector.neck.derain.named_parameters() if not p.any()}
    gates = {k: p for k, p in gates.items() if k.endswith(GATES)}
    assert len(gates) >= 2 * len(feats)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    logs = detector.train_step(make_batch(), OptimWrapper(optimizer))
    assert logs["loss"].isfinite()
    for key, gate in gates.items():
        assert gate.any(), key
        assert gate.isfinite().all(), key


@pytest.mark.parametrize(
    ("detector_name", "derain"), [("retinanet", "MultiScaleFeatureDerain")], indirect=True
)
def test_wrong_in_channels_name_both_lists(configs):
    config = Config.fromfile(configs / "derained.py")
    config.model.neck.derain.in_channels = (7, 9)
    with pytest.raises(ValueError, match=r"\(7, 9\).*\(128, 256, 512\)"):
        MODELS.build(config.model)


@pytest.mark.parametrize(
    ("detector_name", "derain"), [("retinanet", "MultiScaleFeatureDerain")], indirect=True
)
def test_a_level_that_the_inner_neck_drops_is_warned_of(configs, monkeypatch):
    said = []
    monkeypatch.setattr(derain_neck, "print_log", lambda line, **_: said.append(line))
    MODELS.build(Config.fromfile(configs / "derained.py").model.neck)
    assert not said
    MODELS.build(Config.fromfile(configs / "all_levels.py").model.neck)
    assert "start_level=1" in said[0]
