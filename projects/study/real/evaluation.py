"""Measure one arm and seed, and record it: ``python -m projects.study.real.evaluation``."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import derain_plugin
from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write
from projects.study.real.arms import RealArm, find_arms
from projects.study.real.measures import measure, predict
from projects.study.real.photographs import SETS, Photographs, PhotoSet
from projects.study.real.records import (
    read_record,
    set_settings,
    training_settings,
    wanted_sets,
)
from projects.study.real.trainees import Trainee, build_trainee
from projects.study.real.training import load

LAST = 50  # iterations, of which the loss is the mean


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line says; sets that are recorded are not measured again."""
    parser = argparse.ArgumentParser(description="Measure one arm of the study on real rain.")
    parser.add_argument("arm")
    parser.add_argument("seed", type=int)
    parser.add_argument("data", type=Path)
    parser.add_argument("labels", type=Path, help="folder of converted labels")
    parser.add_argument("predictions", type=Path, help="folder of what is detected")
    parser.add_argument("out", type=Path, help="the record")
    parser.add_argument("--weights", type=Path, help="that were trained")
    parser.add_argument("--report", action="store_true", help="also the sets for the report")
    args = parser.parse_args(arguments)
    derain_plugin.register_all_modules()
    (arm,) = find_arms([args.arm])
    photos = Photographs(args.data, args.labels)
    trained = training_settings(arm, args.seed, photos)
    record = read_record(args.out, trained)
    trainee, losses = _trained(arm, photos, args)
    record = record or _begin(arm, args.seed, trained, trainee, losses)
    for photo_set in wanted_sets(is_report=args.report):
        if photo_set.name in record["sets"]:
            continue
        settings = set_settings(trained, photo_set)
        path = args.predictions / f"{photo_set.name}_{settings[:8]}.pkl"
        found = _measured(trainee, photos, photo_set, path)
        record["sets"][photo_set.name] = dict(settings=settings, **_when(), **found)
        _write(record, args.out)


def _trained(
    arm: RealArm, photos: Photographs, args: argparse.Namespace
) -> tuple[Trainee, list[float]]:
    trainee = build_trainee(arm.kind, arm.recipe, photos, seed=args.seed)
    losses = [] if args.weights is None else load(trainee, args.weights)
    trainee.detector.model.requires_grad_(False)
    return trainee, losses


def _begin(
    arm: RealArm, seed: int, trained: str, trainee: Trainee, losses: Sequence[float]
) -> dict[str, Any]:
    last = losses[-LAST:]
    return dict(
        arm=arm.name,
        title=arm.title,
        kind=arm.kind,
        seed=seed,
        settings=trained,
        recipe=arm.recipe.record(),
        trained_parameters=sum(each.numel() for each in trainee.parts.parameters()),
        last_loss=round(sum(last) / len(last), 4) if last else None,
        **describe_machine(),
        sets={},
    )


def _measured(
    trainee: Trainee, photos: Photographs, photo_set: PhotoSet, path: Path
) -> dict[str, Any]:
    if not path.is_file():
        predict(trainee, photos, photo_set, path)
    found = measure(path, photos.annotations(photo_set))
    print(photo_set.name, found["measures"], flush=True)
    return found


def _when() -> dict[str, str]:
    """Return when a set was looked at, and by which commit."""
    machine = describe_machine()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")
    return dict(looked_at=now, commit=machine["commit"])


def _write(record: dict[str, Any], path: Path) -> None:
    order = [each.name for each in SETS if each.name in record["sets"]]
    record["sets"] = {name: record["sets"][name] for name in order}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
