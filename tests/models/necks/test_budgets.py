"""Parameters, FLOPs and time of the de-rain necks against RT-DETR-R18 at 640x640."""

import statistics
import time
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

from derain_plugin.models.rtdetr.config import rtdetr_config
from derain_plugin.models.rtdetr.family import encoder_channels, family_of
from derain_plugin.models.rtdetr.parts import NARROW, backbone_of, features_of

NECKS = ("MultiScaleFeatureDerain", "LightweightFeatureDerain")
R18, R50 = (128, 256, 512), (512, 1024, 2048)
VIT_S = (384,) * 4  # of RF-DETR; four maps of stride 16
RTDETR_R18_FLOPS = 60e9  # Zhao et al. 2023, table 2


def build(name: str, in_channels: tuple[int, ...]) -> nn.Module:
    return MODELS.build(dict(type=name, in_channels=in_channels)).eval()


def make_feats(in_channels: tuple[int, ...] = R18) -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(1, c, 80 >> i, 80 >> i) for i, c in enumerate(in_channels))


@pytest.mark.parametrize(
    ("name", "in_channels", "least", "most"),
    [
        ("MultiScaleFeatureDerain", R18, 200_000, 300_000),
        ("MultiScaleFeatureDerain", R50, 2_000_000, 4_000_000),
        ("LightweightFeatureDerain", R18, 10_000, 60_000),
        ("LightweightFeatureDerain", R50, 10_000, 200_000),
        ("LightweightFeatureDerain", VIT_S, 10_000, 60_000),
    ],
)
def test_parameters(name, in_channels, least, most):
    assert least <= sum(p.numel() for p in build(name, in_channels).parameters()) <= most


@pytest.mark.parametrize(
    ("name", "share"), [("MultiScaleFeatureDerain", 0.01), ("LightweightFeatureDerain", 0.003)]
)
def test_flops(name, share):
    neck, feats = build(name, R18), make_feats()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        neck(feats)
    assert 0 < counter.get_total_flops() <= share * RTDETR_R18_FLOPS


@pytest.mark.parametrize("arch", ["rfdetr_nano", "lwdetr_tiny", "deimv2_s"])
def test_shares_of_detectors_with_a_vit(arch):
    """FLOPs are counted of the ViT alone, which are most of them."""
    config = rtdetr_config(arch)
    detector = family_of(config).detector(config).eval().requires_grad_(False)
    image, backbone = torch.rand(1, 3, 128, 128), backbone_of(detector.model)
    with torch.no_grad():
        feats = features_of(backbone, image)
    total = flops_of(backbone, image)
    for name, options, share in ((NECKS[0], NARROW, 0.015), (NECKS[1], {}, 0.005)):
        neck = MODELS.build(dict(type=name, in_channels=encoder_channels(config), **options))
        sizes = [sum(p.numel() for p in part.parameters()) for part in (neck, detector)]
        assert 0 < sizes[0] <= share * sizes[1]
        assert 0 < flops_of(neck.eval(), feats) <= share * total


def flops_of(module: nn.Module, *inputs: Any) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops()


@pytest.mark.slow
def test_time_is_a_small_share_of_the_detector():
    """Processor time on one thread, medians of interleaved runs: other processes matter little."""
    parts = {name: build(name, R18) for name in NECKS}
    detector, feats, image = rtdetr_r18(), make_feats(), torch.randn(1, 3, 640, 640)
    seconds: dict[str, list[float]] = {name: [] for name in (*parts, "detector")}
    with torch.inference_mode():
        for _ in range(6):
            for name, neck in parts.items():
                seconds[name].append(processor_time(neck, feats))
            seconds["detector"].append(processor_time(detector, image))
    medians = {name: statistics.median(runs[1:]) for name, runs in seconds.items()}
    shares = {name: medians[name] / medians["detector"] for name in parts}
    assert shares["MultiScaleFeatureDerain"] <= 0.035, shares
    assert shares["LightweightFeatureDerain"] <= 0.015, shares


def processor_time(module: nn.Module, x: torch.Tensor | tuple[torch.Tensor, ...]) -> float:
    start = time.process_time()
    module(x)
    return time.process_time() - start


def rtdetr_r18() -> nn.Module:
    backbone = RTDetrResNetConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=[64, *R18],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=list(R18),
        hidden_expansion=0.5,
        decoder_layers=3,
    )
    return RTDetrForObjectDetection(config).eval()
