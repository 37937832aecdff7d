"""Records of arms that never ran, as ``projects.study.record`` would write them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CONDITIONS = ("clean", *(f"severity_{k}" for k in range(1, 6)), "held_out")


@dataclass(frozen=True)
class PlannedArm:
    name: str
    title: str
    decides: bool = True


def measured_part(
    aps: Mapping[str, float], *, shift: float = 0.0, resamples: int = 50, num_images: int = 500
) -> dict:
    """AP in resamples is AP plus the same noise for all, plus ``shift`` times known noise."""
    common, own = np.random.default_rng(num_images).normal(0, 0.01, (2, resamples))
    steps = np.rint((common + shift * own) * 1e5)
    rainy = [aps[name] for name in CONDITIONS[1:6]]
    return dict(
        num_images=num_images,
        images=f"images{num_images}",
        conditions={
            name: dict(AP=ap, AP50=ap, AP_S=ap / 2, AP_M=ap, AP_L=None) for name, ap in aps.items()
        },
        P=aps["clean"],
        mPC=float(np.mean(rainy)),
        rPC=float(np.mean(rainy)) / aps["clean"],
        bootstrap={name: " ".join(f"{step:.0f}" for step in steps) for name in aps},
    )


def falling(clean: float, step: float) -> dict[str, float]:
    """AP that falls by ``step`` with each severity; held-out rain is as hard as severity 4."""
    aps = {name: round(clean - i * step, 5) for i, name in enumerate(CONDITIONS[:6])}
    return dict(aps, held_out=aps["severity_4"])


def write_record(
    results: Path, arm: str, seed: int, whole: dict, *, split: str = "test", **fields: object
) -> Path:
    record = dict(
        arm=arm, title=arm, seed=seed, split=split, settings="abc", seconds=120.0,
        config=f"configs/{arm}.py", checkpoint="epoch_2.pth", parameters=1_000_000,
        learning_curve=[[1, 0.3, 0.2], [2, 0.4 + seed / 100, 0.3]],
        date="2026-01-01", commit="1234567", hardware="2 cores", versions="torch 2", whole=whole,
    )  # fmt: skip
    path = results / "arms" / arm / f"{split}_seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(record, **fields)))
    return path
