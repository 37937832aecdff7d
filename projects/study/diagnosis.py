"""What rain does to a detector's features, and whether its masks are where the streaks are.

Run as ``python -m projects.study.diagnosis``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.apis import init_detector
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from derain_plugin.cli.machine import describe_machine
from derain_plugin.config import load_config
from derain_plugin.files import atomic_write
from derain_plugin.models import DerainNeck
from derain_plugin.models.detectors.twin_supervised_rtdetr import feature_consistency_loss

SEVERITIES = (1, 3, 5)
IMAGES, BATCH = 50, 10

Measured = dict[str, list[float]]  # a number per batch


@torch.inference_mode()
def diagnose(cfg: Config, checkpoint: str, *, num_images: int = IMAGES) -> dict[str, Any]:
    """Show a detector images and their twins in rain.

    Args:
        cfg: Its config, whose first test condition is clean.
        checkpoint: Its weights.
        num_images: How many images, the first of the test.

    Returns:
        For each severity: ``distance``, how far rain moves the features that reach the detector's
        own neck, per level, in units of the clean ones' variance; with a ``DerainNeck`` also
        ``distance_before`` it; for each rain mask, by name, ``correlation`` with the opacity of
        the streaks (Pearson's, over the cells of a batch; None for a constant mask) and its means
        ``rainy`` and ``clean``; of a gate its means. Besides ``blend``, the strength of each mask
        where it has one number.
    """
    detector = init_detector(cfg, checkpoint, device="cpu")
    found: dict[str, Any] = {}
    for severity in SEVERITIES:
        measured: Measured = {}
        for batch in _batches(cfg, severity, num_images):
            for name, value in _measure(detector, batch):
                measured.setdefault(name, []).append(value)
        found[f"severity_{severity}"] = {k: _mean(values) for k, values in measured.items()}
    blends = {n: round(float(p), 4) for n, p in detector.named_parameters() if n.endswith("blend")}
    return dict(found, **(dict(blend=blends) if blends else {}))


def _batches(cfg: Config, severity: int, num_images: int) -> Iterator[Mapping[str, Tensor]]:
    clean = cfg.test_dataloader.dataset.datasets[0]
    load, *rest = clean["pipeline"]
    twin = dict(type="RainTwin", severity=severity, seed=0)
    dataset = DATASETS.build(dict(clean, pipeline=[load, twin, *rest]))
    options = dict(cfg.model.data_preprocessor, type="RainTwinDataPreprocessor")
    options.pop("batch_augments", None)
    preprocessor = MODELS.build(options)
    indices = range(min(num_images, len(dataset)))
    for start in indices[::BATCH]:
        images = [dataset[index] for index in indices[start : start + BATCH]]
        yield preprocessor(pseudo_collate(images), training=True)


def _measure(detector: Any, batch: Mapping[str, Tensor]) -> Iterator[tuple[str, float]]:
    rainy, clean = _inside(detector, batch["inputs"]), _inside(detector, batch["clean"])
    for kind in ("distance_before", "distance"):
        for level, (feat, target) in enumerate(zip(rainy[kind], clean[kind], strict=True)):
            yield f"{kind} {level}", float(feature_consistency_loss([feat], [target]))
    for name, mask in rainy["masks"].items():
        yield f"correlation {name}", _correlation(mask, batch["streaks"])
        yield f"rainy {name}", float(mask.mean())
        yield f"clean {name}", float(clean["masks"][name].mean())


def _inside(detector: Any, images: Tensor) -> dict[str, Any]:
    """Return features before and after the de-rain neck, masks and gate by name."""
    feats, masks = detector.backbone(images), _early_masks(detector.backbone, images)
    if not isinstance(detector.neck, DerainNeck):
        return dict(distance_before=(), distance=feats, masks=masks)
    cleaned, others = detector.neck.derain.forward_with_masks(feats)
    masks |= {f"level {level}": mask for level, mask in enumerate(others)}
    return dict(distance_before=feats, distance=cleaned, masks=masks)


def _early_masks(backbone: Any, images: Tensor) -> dict[str, Tensor]:
    early = getattr(backbone, "derain", None)
    if early is None:
        return {}
    masks = dict(zip(early.blocks, backbone.rain_masks(images), strict=True))
    if early.gate is not None:
        masks["gate"] = early.gate(backbone.model.embedder(images)).sigmoid()
    return masks


def _correlation(mask: Tensor, streaks: Tensor) -> float:
    if mask.ndim < 4:  # a gate judges whole images, which all rain alike here
        return float("nan")
    if float(mask.std()) == 0:
        return float("nan")
    height, width = mask.shape[-2:]
    opacity = adaptive_avg_pool2d(streaks, (height, width))
    return float(np.corrcoef(mask.flatten().numpy(), opacity.flatten().numpy())[0, 1])


def _mean(values: list[float]) -> float | None:
    mean = float(np.mean(values))
    return None if np.isnan(mean) else round(mean, 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Diagnose a detector as the command line says."""
    parser = argparse.ArgumentParser(description="Write what rain does inside a detector.")
    parser.add_argument("config", type=Path, help="its config, as a test of it left it")
    parser.add_argument("checkpoint", help="its weights")
    parser.add_argument("--out", type=Path, required=True, help="json to write")
    parser.add_argument("--settings", required=True, help="what the weights depend on")
    args = parser.parse_args(arguments)
    found = diagnose(load_config(args.config), args.checkpoint)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    content = dict(settings=args.settings, images=IMAGES, **found, **describe_machine())
    atomic_write(args.out, json.dumps(content, indent=1, allow_nan=False) + "\n")
    print(args.out)


if __name__ == "__main__":
    main()
