"""Train one arm with one seed: ``python -m projects.study.real.training``."""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

import derain_plugin
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.files import atomic_write
from projects.study.real.arms import RealArm, find_arms
from projects.study.real.photographs import Photographs
from projects.study.real.renderers import RENDERERS
from projects.study.real.trainees import Batches, Phase, Trainee, build_trainee

CROPPED_SHARE = 0.5  # of the photos, where a recipe crops
WEIGHT_DECAY, LARGEST_GRADIENT = 1e-4, 1.0  # those of derain-adapt
SHOWN_EVERY = 10  # iterations


class CroppedTwins(RainyTwins):
    """Twins of photos of which a part is cut off at random.

    Args:
        crop: Up to which share of both sides is cut off.

    Raises:
        ValueError: The photos have labels, which would not follow.
    """

    def __init__(self, *args: Any, crop: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.labels is not None:
            raise ValueError(f"photos with labels cannot be cropped, got crop={crop}")
        self._crop = crop

    def _rained(
        self, image: np.ndarray, photo: Path, is_flipped: bool
    ) -> tuple[np.ndarray, np.ndarray, int]:
        if random.random() < CROPPED_SHARE:
            share, left, top = (random.random() for _ in range(3))
            sides = [round(side * (1 - self._crop * share)) for side in image.shape[:2]]
            starts = zip((top, left), image.shape, sides, strict=False)
            y, x = (int(where * (whole - side + 1)) for where, whole, side in starts)
            image = np.ascontiguousarray(image[y : y + sides[0], x : x + sides[1]])
        return super()._rained(image, photo, is_flipped)


def train(trainee: Trainee, arm: RealArm, photos: Photographs, *, seed: int) -> list[float]:
    """Train in place; the same seed on the same machine gives the same weights.

    Returns:
        The loss of each iteration.

    Raises:
        FloatingPointError: It is not finite.
    """
    recipe = arm.recipe
    training = list(trainee.labels or photos.training(recipe.photos))
    kind = partial(CroppedTwins, crop=recipe.crop) if recipe.crop else RainyTwins
    twins = kind(
        training,
        trainee.detector.prepare,
        num_samples=recipe.iterations * recipe.batch_size,
        seed=seed,
        severity=recipe.severity,
        clean_share=recipe.clean_share,
        renderer=RENDERERS[recipe.rain].render,
        labels=trainee.labels,
    )
    twins.set_run_seed(seed)
    batches, losses = Batches(twins, recipe.batch_size), list[float]()
    for phase in trainee.phases:
        trainee.parts.requires_grad_(False)
        _train_phase(phase, batches, losses)
    return losses


def _train_phase(phase: Phase, batches: Batches, losses: list[float]) -> None:
    optimizer = torch.optim.AdamW(phase.groups, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, phase.iterations)
    trained = [each.requires_grad_() for group in phase.groups for each in group["params"]]
    for _ in range(phase.iterations):
        parts = phase.losses(**batches.take())
        loss = torch.stack(list(parts.values())).sum()
        if not loss.isfinite():
            raise FloatingPointError(f"the loss is not finite after {len(losses)} iterations")
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(trained, LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if len(losses) % SHOWN_EVERY == 0:
            shown = ", ".join(f"{name} {value.item():.3f}" for name, value in parts.items())
            print(f"{len(losses)} iterations: {shown}", flush=True)


def save(trainee: Trainee, losses: Sequence[float], path: Path) -> None:
    """Write what was trained."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(dict(state_dict=trainee.parts.state_dict(), losses=list(losses)), content)
    atomic_write(path, content.getvalue())


def load(trainee: Trainee, path: Path) -> list[float]:
    """Put in what was trained; returns the losses."""
    content = torch.load(path, weights_only=True)
    trainee.parts.load_state_dict(content["state_dict"])
    return content["losses"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description="Train one arm of the study on real rain.")
    parser.add_argument("arm")
    parser.add_argument("seed", type=int)
    parser.add_argument("data", type=Path)
    parser.add_argument("labels", type=Path, help="folder of converted labels")
    parser.add_argument("out", type=Path, help="file of the trained weights")
    args = parser.parse_args(arguments)
    derain_plugin.register_all_modules()
    (arm,) = find_arms([args.arm])
    photos = Photographs(args.data, args.labels)
    trainee = build_trainee(arm.kind, arm.recipe, photos, seed=args.seed)
    save(trainee, train(trainee, arm, photos, seed=args.seed), args.out)


if __name__ == "__main__":
    main()
