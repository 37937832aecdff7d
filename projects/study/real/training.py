"""Train one arm with one seed: ``python -m projects.study.real.training``."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_

import derain_plugin
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.files import atomic_write
from projects.study.real.arms import RealArm, find_arms
from projects.study.real.photographs import Photographs
from projects.study.real.renderers import RENDERERS
from projects.study.real.trainees import Batches, Phase, Trainee, build_trainee

WEIGHT_DECAY, LARGEST_GRADIENT = 1e-4, 1.0  # those of derain-adapt
SHOWN_EVERY = 10  # iterations


def train(trainee: Trainee, arm: RealArm, photos: Photographs, *, seed: int) -> list[float]:
    """Train in place; the same seed on the same machine gives the same weights.

    Returns:
        The loss of each iteration.

    Raises:
        FloatingPointError: It is not finite.
    """
    recipe = arm.recipe
    training = list(trainee.labels or photos.training(recipe.photos))
    twins = RainyTwins(
        training,
        trainee.detector.prepare,
        num_samples=recipe.iterations * recipe.batch_size,
        seed=seed,
        severity=recipe.severity,
        clean_share=recipe.clean_share,
        crop=recipe.crop,
        distort=recipe.distort,
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
