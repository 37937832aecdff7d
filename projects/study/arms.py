"""The arms of the study: what is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["training", "evaluation", "recalibration"]
TRAINING: Final = "training"
EVALUATION: Final = "evaluation"
RECALIBRATION: Final = "recalibration"

FAMILIES = EMBEDDED, COCO = "study", "coco"
"""Detectors and data that the arms are compared with: the project's own, and COCO."""

VANILLA_SEED = 0
"""All seeds start from one vanilla detector: it stands for the user's."""


@dataclass(frozen=True)
class Arm:
    """A detector that is tested: one row of the report.

    Arms of the same config and seed share one training.

    Attributes:
        name: Of its files, and for the command line.
        title: For people.
        config: Name of its config, without the family's prefix: ``study_*.py``.
        start: The arm whose weights it starts from; None for the vanilla detector, whose own
            ``load_from`` is taken as it is, or else is trained.
        phase: Number of the training's phase at whose end it is tested; None is the last.
        decides: Whether it runs with every seed, or with the first only.
        kind: ``training``; ``evaluation`` tests the weights of ``start`` with its own config;
            ``recalibration`` estimates the BatchNorm statistics of ``start`` anew.
        images: It is tested on so many images, the first of the split; None is all.
    """

    name: str
    title: str
    config: str
    start: str | None = "vanilla"
    phase: int | None = None
    decides: bool = False
    kind: Kind = TRAINING
    images: int | None = None

    def seeds(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """Return those of the study's seeds that it runs with."""
        if self.start is None:
            return (VANILLA_SEED,)
        return tuple(seeds) if self.decides else tuple(seeds[:1])


ARMS = (
    Arm("vanilla", "vanilla, clean images only", "rtdetr_coco", start=None),
    Arm("control", "control: fine-tuned on the mix", "finetune_mix", decides=True),
    Arm("control_15e", "control with all 15 epochs", "finetune_mix_15e", decides=True),
    Arm("control_fast", "control at three times the rate", "finetune_mix_fast"),
    Arm("control_slow", "control at a third of the rate", "finetune_mix_slow"),
    Arm("control_twin", "control + feature consistency", "finetune_twin", decides=True),
    Arm("capacity", "plain convolutions, both phases", "capacity", decides=True),
    Arm("ms", "multi-scale, both phases", "featderain_ms", decides=True),
    Arm("ms_phase1", "multi-scale, phase 1 alone", "featderain_ms", phase=1, decides=True),
    Arm("lite", "lightweight, both phases", "featderain_lite"),
    Arm("early", "early blocks, both phases", "early"),
    Arm("early_phase1", "early blocks, phase 1 alone", "early", phase=1),
    Arm("early_ms", "early blocks + multi-scale, both phases", "early_ms", decides=True),
    Arm("early_ms_phase1", "early blocks + multi-scale, phase 1 alone", "early_ms", phase=1),
    Arm("early_ms_wide", "early blocks + multi-scale, both wider, both phases", "early_ms_wide"),
    Arm("early_ms_mild", "early blocks + multi-scale, severities 1-3 only", "early_ms_mild"),
    Arm(
        "early_ms_curriculum", "early blocks + multi-scale, severities 1-3, then 1-5",
        "early_ms_curriculum", start="early_ms_mild",
    ),
    Arm("consistency", "multi-scale + feature consistency, both phases", "consistency"),
    Arm(
        "consistency_phase1", "multi-scale + feature consistency, phase 1 alone", "consistency",
        phase=1,
    ),
    Arm("mask", "multi-scale + mask supervision, both phases", "mask"),
    Arm("mask_phase1", "multi-scale + mask supervision, phase 1 alone", "mask", phase=1),
    Arm(
        "early_ms_twin", "early + multi-scale + all losses by the twin, both phases",
        "early_ms_twin", decides=True,
    ),
    Arm(
        "early_ms_twin_phase1", "early + multi-scale + all losses by the twin, phase 1 alone",
        "early_ms_twin", phase=1, decides=True,
    ),
    Arm(
        "adapter", "early + multi-scale + all losses by the twin, alone, 15 epochs",
        "early_ms_adapter", decides=True,
    ),
    Arm("adapter_stem", "the same, early block after the stem alone", "early_ms_adapter_stem"),
    Arm("bn_affine", "BatchNorm's affine parameters alone", "bn_affine"),
    Arm("bn_statistics", "BatchNorm's statistics alone", "bn_statistics", kind=RECALIBRATION),
    Arm("spdnet_vanilla", "SPDNet + vanilla", "spdnet", kind=EVALUATION, images=100),
    Arm(
        "spdnet_control", "SPDNet + control", "spdnet",
        start="control", kind=EVALUATION, images=100,
    ),
)  # fmt: skip
"""In the order of the report."""


def find_arm(name: str) -> Arm:
    """Return the arm of this name; errors as :func:`find_arms`."""
    return find_arms([name])[0]


def find_arms(names: Iterable[str]) -> list[Arm]:
    """Return the arms of these names, in the order of ``ARMS``.

    Raises:
        ValueError: There is no such arm.
    """
    known = [arm.name for arm in ARMS]
    wanted = set(names)
    if unknown := sorted(wanted - set(known)):
        raise ValueError(f"unknown arms {', '.join(unknown)}; there are {', '.join(known)}")
    return [arm for arm in ARMS if arm.name in wanted]
