"""The arms' configs: two bases, and a table of what each arm sets on top of its family's.

``python -m projects.study.arm_configs study early_ms early_ms.py`` writes one out as a file.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from derain_plugin.config import load_config
from derain_plugin.files import atomic_write
from projects.study.arms import COCO, EMBEDDED
from projects.study.steps import ROOT

CONFIGS = ROOT / "projects/study/configs"
Options = dict[str, Any]

NECK, EARLY = "neck.derain", "backbone.derain"
"""The parts of a detector that de-rain, as patterns of parameter names."""

BATCH_NORMS = (
    "backbone.model.embedder.embedder.*.normalization",
    "backbone.model.encoder.stages.*.layers.*.shortcut.normalization",
    "backbone.model.encoder.stages.*.layers.*.shortcut.1.normalization",
    "backbone.model.encoder.stages.*.layers.*.layer.*.normalization",
    "neck.encoder_input_proj.*.1",
    "neck.encoder.*.*.norm",
    "neck.encoder.*.*.*.norm",
    "neck.encoder.*.*.bottlenecks.*.*.norm",
    "bbox_head.detr.model.decoder_input_proj.*.1",
)
"""All BatchNorm layers of an RT-DETR without de-raining, likewise."""


@dataclass(frozen=True)
class Family:
    """A detector and its data, in which the arms are compared.

    Attributes:
        base: What its arms have in common.
        channels: Of the feature maps that the neck de-rains.
        restorer: The SPDNet in front of the detector.
        alone: Learning rate of the de-rain parts while the detector stays as it is.
        joint: Their rate beside the detector.
        control: Rate of the detector.
        fast: About three times ``control``.
        slow: About a third of ``control``.
        norms: Rate of BatchNorm's affine parameters alone.
    """

    base: Path
    channels: tuple[int, ...]
    restorer: Options
    alone: float
    joint: float
    control: float
    fast: float
    slow: float
    norms: float


FAMILIES = {
    EMBEDDED: Family(  # higher rates than on COCO, for fewer iterations
        CONFIGS / "study/study_base.py",
        channels=(64, 128, 192),
        restorer=dict(type="SPDNet", n_feats=16, num_blocks=1, scale=255.0),
        alone=3e-3, joint=1e-3, control=1e-4, fast=3e-4, slow=3e-5, norms=1e-3,
    ),
    COCO: Family(
        CONFIGS / "study/coco_base.py",
        channels=(128, 256, 512),
        restorer=dict(type="SPDNet"),
        alone=5e-4, joint=1e-4, control=1e-5, fast=3e-5, slow=3e-6, norms=1e-4,
    ),
}  # fmt: skip


def arm_config(family: str, name: str, options: Mapping[str, Any] | None = None) -> Config:
    """Return the config ``name`` of the arms of a family, see ``Arm.config``.

    Args:
        family: One of ``FAMILIES``.
        name: One of the table's.
        options: Further overrides, dotted key to value, on top of the arm's own.

    Raises:
        ValueError: There is no such config.
    """
    base, own = _base_and_options(family, name)
    return load_config(base, _on_top(own, options or {}))


def _on_top(own: Options, options: Mapping[str, Any]) -> dict[str, Any]:
    """Merge overrides into those of an arm, also where these hold a whole part of the config."""
    merged = dict(own)
    for key, value in options.items():
        root, dot, rest = key.partition(".")
        if dot and isinstance(merged.get(root), Mapping):
            part = Config(dict(part=copy.deepcopy(merged[root])))
            part.merge_from_dict({f"part.{rest}": value})  # places in lists, too
            merged[root] = part.to_dict()["part"]
        else:
            merged[key] = value
    return merged


def _base_and_options(family: str, name: str) -> tuple[Path, Options]:
    others = _with_other_bases()
    if (family, name) in others:
        return others[family, name]
    found = FAMILIES[family]
    table = _table(found, Config.fromfile(found.base))
    if name not in table:
        known = [*table, *(own for its, own in others if its == family)]
        raise ValueError(f"family {family} has no config {name}; it has {', '.join(known)}")
    return found.base, table[name]


def _table(family: Family, base: Config) -> dict[str, Options]:
    ms = _neck(family, base, "MultiScaleFeatureDerain")
    early = {"model.backbone.early_derain": dict(type="EarlyFeatureDerain")}
    neck_alone_then_all = _two_phases(family, NECK)
    early_ms = early | ms | _two_phases(family, EARLY, NECK)
    twin = ms | _twin(base)
    losses = _losses(consistency=5.0, mask=1.0, gate=0.2)
    adapter = early_ms | twin | losses | _adapter_phases()
    control = _control(family.control)
    return {
        # Fine-tuned without a neck, on the images, rain and order of the others' epochs 6-15.
        "finetune_mix": control,
        "finetune_mix_15e": _phases(_phase("finetune", 1, 15, {"*": family.control})),
        "finetune_mix_fast": _control(family.fast),
        "finetune_mix_slow": _control(family.slow),
        "finetune_twin": _twin(base) | _losses(consistency=5.0) | control,
        # Plain convolutions of the multi-scale neck's parameters and operations.
        "capacity": _neck(family, base, "PlainFeatureRefine") | neck_alone_then_all,
        "featderain_ms": ms | neck_alone_then_all,
        "featderain_lite": _neck(family, base, "LightweightFeatureDerain") | neck_alone_then_all,
        "early": early | _two_phases(family, EARLY),
        "early_ms": early_ms,
        "early_ms_wide": early_ms
        | _neck(family, base, "MultiScaleFeatureDerain", reduction=2)  # 4
        | {"model.backbone.early_derain": dict(type="EarlyFeatureDerain", reduction=2)},  # 8
        # Ten epochs in mild rain, then from these weights five in all rain.
        "early_ms_mild": early_ms
        | _two_phases(family, EARLY, NECK, last=10)
        | {"synthetic_rain": (1, 3)},
        "early_ms_curriculum": early_ms
        | _phases(_joint(family, 1, 5, EARLY, NECK))
        | {"default_hooks.sampler_seed.epoch_offset": 10},
        "consistency": twin | _losses(consistency=5.0) | neck_alone_then_all,
        "mask": twin | _losses(mask=1.0) | neck_alone_then_all,
        "early_ms_twin": early_ms | twin | losses,
        # Beside a detector that stays as it is, for all epochs.
        "early_ms_adapter": adapter,
        "early_ms_adapter_stem": adapter | _early_after("stem"),
        "bn_affine": _phases(_phase("norms", 1, 5, dict.fromkeys(BATCH_NORMS, family.norms))),
        "bn_statistics": {},  # for tools/recalibrate_bn.py: the images of the other arms
        "spdnet": control
        | {
            "model.data_preprocessor.type": "PixelDerainDataPreprocessor",
            "model.data_preprocessor.restorer": dict(family.restorer),
        },
    }


def _with_other_bases() -> dict[tuple[str, str], tuple[Path, Options]]:
    """Configs that have little in common with the other arms', by family and name."""
    study, shipped = Config.fromfile(FAMILIES[EMBEDDED].base), ROOT / "configs"
    data = {"data_root": study.data_root}
    detector = {name: study[name] for name in ("model", "classes", "image_size")}
    adapter = shipped / "rtdetr_r18_featderain_adapter.py"
    keep_all = {"default_hooks.checkpoint.max_keep_ckpts": -1}  # 3: as of every arm
    return {
        # The study's vanilla detector: trained on clean images from scratch, as the toy's.
        (EMBEDDED, "rtdetr_coco"): (
            CONFIGS / "toy/toy_rtdetr_coco.py",
            data
            | detector
            | {
                "train_cfg.max_epochs": 20,  # 4
                "optim_wrapper.optimizer.lr": 1e-3,  # 2e-3
                "param_scheduler.0.end": 200,  # 50
                "param_scheduler.1.begin": 10,  # 2
                "param_scheduler.1.end": 20,  # 4
            },
        ),
        (EMBEDDED, "spdnet_rain"): (
            CONFIGS / "toy/toy_spdnet_rain.py",
            data
            | {
                "train_dataloader.dataset.percent": 50,  # 100
                "train_cfg.max_epochs": 24,  # 6
                "train_cfg.val_interval": 8,  # 1
                "param_scheduler.1.T_max": 24,  # 6
            },
        ),
        (COCO, "rtdetr_coco"): (shipped / "rtdetr_r18_coco.py", {}),
        (COCO, "spdnet_rain"): (shipped / "spdnet_rain.py", {}),
        (COCO, "early_ms_adapter"): (adapter, keep_all | _early_after("stem", "stage1")),
        (COCO, "early_ms_adapter_stem"): (adapter, keep_all),
    }


def _neck(family: Family, base: Config, kind: str, **options: object) -> Options:
    derain = dict(type=kind, in_channels=list(family.channels), **options)
    inner = base.model.neck.to_dict()
    return {"model.neck": dict(_delete_=True, type="DerainNeck", derain=derain, neck=inner)}


def _twin(base: Config) -> Options:
    """Show the model each rainy image with its clean twin; ``_losses`` turns losses on."""
    side = "train_dataloader.dataset"
    load, *rest = base.train_dataloader.dataset.clean.pipeline
    return {
        f"{side}.clean.pipeline": [load, dict(type="RainTwin", severity=0, seed=0), *rest],
        f"{side}.rainy.pipeline": [load, dict(type="RainTwin", seed=0), *rest],
        "model.type": "TwinSupervisedRTDETR",
        "model.data_preprocessor.type": "RainTwinDataPreprocessor",
        "model.teacher": base.load_from,
    }


def _losses(**weights: float) -> Options:
    return {f"model.{name}_weight": weight for name, weight in weights.items()}


def _control(rate: float) -> Options:
    finetune = _phases(_phase("finetune", 1, 10, {"*": rate}))
    return finetune | {"default_hooks.sampler_seed.epoch_offset": 5}


def _two_phases(family: Family, *parts: str, last: int = 15) -> Options:
    alone = _phase("derain", 1, 5, dict.fromkeys(parts, family.alone))
    return _phases(alone, _joint(family, 6, last, *parts))


def _joint(family: Family, first: int, last: int, *parts: str) -> Options:
    return _phase("joint", first, last, {**dict.fromkeys(parts, family.joint), "*": family.control})


def _early_after(*places: str) -> Options:
    return {"model.backbone.early_derain": dict(type="EarlyFeatureDerain", places=places)}


def _adapter_phases() -> Options:
    rates = ("fast", 1, 8, 3e-3), ("slow", 9, 12, 1e-3), ("settle", 13, 15, 3e-4)
    return _phases(
        *(_phase(name, first, last, {EARLY: rate, NECK: rate}) for name, first, last, rate in rates)
    )


def _phase(name: str, first: int, last: int, rates: Mapping[str, float]) -> Options:
    return {name: dict(epochs=(first, last), lr=dict(rates))}


def _phases(*phases: Options) -> Options:
    return {
        "phases": dict(
            _delete_=True, **{name: phase for own in phases for name, phase in own.items()}
        ),
        "train_cfg.max_epochs": max(p["epochs"][1] for own in phases for p in own.values()),
    }


def write_config(cfg: Config, file: Path) -> None:
    """Write a config as one file that ``tools/train.py`` takes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, cfg.pretty_text)


def main(arguments: list[str] | None = None) -> None:
    """Write the config of an arm as the command line says."""
    parser = argparse.ArgumentParser(description="Write the config of an arm as one file.")
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("name", help="such as early_ms or finetune_mix")
    parser.add_argument("out", type=Path, help="file to write")
    args = parser.parse_args(arguments)
    try:
        write_config(arm_config(args.family, args.name), args.out)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
