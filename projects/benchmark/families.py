"""Each size of the RT-DETR family behind a de-rain neck: cost, parity, exported files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from derain_plugin.apis import Detector, ExportedDetector
from derain_plugin.cli.machine import ROOT
from derain_plugin.export.calibration_images import read_images
from derain_plugin.export.export_detector import Export
from derain_plugin.export.verification import TOLERANCES, compare
from derain_plugin.models.rtdetr.config import ARCHITECTURES, rtdetr_config
from derain_plugin.models.rtdetr.family import encoder_channels
from projects.benchmark.inference import measure_inference
from projects.benchmark.neck_share import SUFFIXES, measure_exported, measure_inside, write_file
from projects.benchmark.setting import Setting
from projects.benchmark.transformers_arm import transformers_twin

SHIPPED = {  # by the start of an architecture's name, the longest first
    "deimv2_s": "deimv2_s", "deimv2_m": "deimv2_s", "deimv2_l": "deimv2_s",
    "deimv2_x": "deimv2_s", "deimv2_": "deimv2_n", "dfine_": "dfine_s",
    "rfdetr_": "rfdetr_nano", "lwdetr_": "rfdetr_nano",
    "rtdetrv2_": "rtdetrv2_r18", "r": "rtdetr_r18",
}  # fmt: skip
CONFIG = """\
_base_ = {base!r}
model = dict(
    backbone=dict(arch={arch!r}),
    neck=dict(derain={derain}, neck=dict(arch={arch!r})),
    bbox_head=dict(arch={arch!r}),
)
image_size = {size}
"""
NECKS = ("MultiScaleFeatureDerain", "LightweightFeatureDerain")
UNITS = {"rfdetr_base": 224}  # px, of which sides are multiples: four windows of patches of 14
UNIT = 32


def write_config(arch: str, folder: Path, *, size: int, neck: str = NECKS[0]) -> Path:
    """Write the config of an architecture behind a neck of ``NECKS``; it inherits a shipped one.

    Raises:
        ValueError: There is no such architecture.
    """
    derain: dict[str, Any] = dict(in_channels=list(encoder_channels(rtdetr_config(arch))))
    if neck != NECKS[0]:
        derain |= dict(_delete_=True, type=neck)
    shipped = next(name for start, name in SHIPPED.items() if arch.startswith(start))
    base = str(ROOT / f"configs/{shipped}_featderain_ms.py")
    path = folder / f"{arch}_{neck}.py"
    path.write_text(CONFIG.format(base=base, arch=arch, derain=derain, size=size))
    return path


def measure_architecture(
    arch: str,
    setting: Setting,
    *,
    rounds: int,
    seconds: float,
    exports: Sequence[Export] = (),
    tell: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Measure one architecture with random weights.

    Args:
        arch: One of ``ARCHITECTURES``.
        setting: Circumstances of the timing.
        rounds: How often detector and neck are timed.
        seconds: Limit of the timing.
        exports: Files to write and to try out.
        tell: Gets a line of progress at a time.

    Returns:
        ``size`` (px), which is the setting's or the next that its windows fit, ``cost`` as a row
        of ``measure_inference``, by neck ``inside``, as ``measure_inside`` has it, ``parity`` as
        ``measure_parity`` has it, and by format and precision ``exports``, as ``try_export`` has
        them and, of files that were written, with the neck's ``share`` and ``share_interval``.
    """
    unit = UNITS.get(arch, UNIT)
    setting = replace(setting, size=-(-setting.size // unit) * unit)
    with tempfile.TemporaryDirectory() as name:
        config = write_config(arch, Path(name), size=setting.size)
        limits: dict[str, Any] = dict(rounds=rounds, seconds=seconds)
        (cost,) = measure_inference([config], setting, **limits, tell=tell)
        inside = {}
        for neck in NECKS:
            tell(f"{arch}: time inside, {neck}")
            path = write_config(arch, Path(name), size=setting.size, neck=neck)
            inside[neck] = measure_inside(path, setting, **limits)
        tell(f"{arch}: parity")
        torch.manual_seed(0)
        detector = Detector(str(config), None, device="cpu")
        unsettle(detector.model, size=max(128, unit))
        parity = measure_parity(detector.model, sizes=(max(320, 2 * unit), max(384, 3 * unit)))
        files = {}
        for export in exports:
            tell(f"{arch}: export, {export.format} {export.precision}")
            out = Path(name, f"detector{SUFFIXES[export.format]}")
            found = try_export(detector, out, export)
            if "refused" not in found:
                found |= measure_exported(detector, out, export, setting, **limits)
            files[f"{export.format} {export.precision}"] = found
    return dict(
        arch=arch,
        family=ARCHITECTURES[arch][0],
        size=setting.size,
        cost=cost,
        inside=inside,
        parity=parity,
        exports=files,
    )


@torch.no_grad()
def unsettle(model: Any, *, size: int = 128) -> None:
    """Move every weight and statistic of a detector, but for the de-rain neck's, as training does.

    Fresh BatchNorm layers do nothing, and fresh class layers score all alike.
    """
    for name, parameter in model.named_parameters():
        if ".derain." in name:
            continue
        spread = parameter.std() if parameter.dim() > 1 and parameter.any() else 1.0
        is_score = "class_embed" in name or "enc_score_head" in name
        parameter.add_(torch.randn_like(parameter) * spread * (1.0 if is_score else 0.1))
    model.train()
    for _ in range(10):
        model.neck(model.backbone(torch.rand(2, 3, size, size)))
    model.eval()


@torch.no_grad()
def measure_parity(model: Any, *, sizes: Sequence[int] = (320, 384)) -> dict[str, float]:
    """Compare a detector, whose neck is fresh, with the unsplit one of transformers.

    Returns:
        Largest differences of ``logits`` and of ``boxes`` (0-1), over sizes (px), two images each.
    """
    twin: Any = transformers_twin(model).eval()
    largest = dict(logits=0.0, boxes=0.0)
    for size in sizes:
        images = torch.rand(2, 3, size, size)
        theirs = twin(pixel_values=images)
        logits, boxes = model.bbox_head(model.neck(model.backbone(images)))
        pairs = dict(logits=(logits, theirs.logits), boxes=(boxes, theirs.pred_boxes))
        largest = {name: max(largest[name], _difference(*pair)) for name, pair in pairs.items()}
    return largest


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return (ours - theirs).abs().max().item()


def try_export(detector: Detector, out: Path, export: Export) -> dict[str, Any]:
    """Export a detector, and compare the file with it on photographs; it stays in any case.

    Returns:
        ``compared`` and ``matched`` detections and the largest ``box_difference`` (px) and
        ``score_difference`` of the matched; or ``refused``, why there is no file.
    """
    try:
        write_file(detector, out, export)
    except ValueError as error:
        return dict(refused=str(error).splitlines()[0])
    exported, tolerance = ExportedDetector(out), TOLERANCES[export.precision]
    found = compare(detector.detect, exported.detect, read_images(None, {}, count=5), tolerance)
    names = ("compared", "matched", "box_difference", "score_difference")
    return {name: getattr(found, name) for name in names}
