"""A neck for rain, from clear photographs alone: the command line of ``tools/adapt.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.adapt_arguments import parse_args
from derain_plugin.cli.named_detector import Loaded, load_detector
from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    from derain_plugin.adapting import Adapted

SHOWN = 4  # photos in the grid


def main(arguments: Sequence[str] | None = None) -> None:
    """Adapt or merge as the command line says."""
    args = parse_args(arguments)
    with working():
        try:
            _merge(args) if args.command == "merge" else _adapt(args)
        except KeyboardInterrupt:
            print("stopped; the same command with --resume goes on", file=sys.stderr)
            sys.exit(130)
        except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
            sys.exit(f"error: {error}")


def _adapt(args: argparse.Namespace) -> None:
    from derain_plugin.adapting import Length, LossWeights, adapt
    from derain_plugin.adapting.renderers import rain_of

    rain = rain_of(args.renderer)
    loaded = load_detector(args)
    adapted = adapt(
        loaded.model,
        args.photos,
        args.out,
        prepare=loaded.prepare,
        base=args.detector[-1],
        base_sha256=loaded.sha256,
        length=Length(args.iterations, args.epochs, args.minutes),
        batch_size=args.batch_size,
        lr=args.lr,
        severity=args.severity,
        clean_share=args.clean_share,
        crop=args.crop,
        distort=args.distort,
        weights=LossWeights(*args.loss_weights),
        early=args.early,
        image_filter=args.filter,
        renderer=rain,
        labels=args.labels,
        val=args.val,
        seed=args.seed,
        amp=args.amp,
        workers=args.workers,
        resume=args.resume,
    )
    grid = _write_grid(adapted, loaded, args)
    print(f"{args.out}: the adapter\n{grid}: before and after")
    print("\nNext:\n" + "\n".join(f"  {line}" for line in _next_commands(args)))


def _write_grid(adapted: Adapted, loaded: Loaded, args: argparse.Namespace) -> Path:
    import cv2

    from derain_plugin.adapting.photos import find_photos
    from derain_plugin.apis.adaptation_grid import draw_grid

    rainy = find_photos(args.rainy).paths[:SHOWN] if args.rainy else []
    grid = draw_grid(
        adapted.detector, adapted.held_out[:SHOWN], rainy=rainy, classes=loaded.classes,
        palette=loaded.palette, seed=args.seed, renderer=adapted.rain,
    )  # fmt: skip
    path = args.out / "before_after.jpg"
    atomic_write(path, cv2.imencode(".jpg", grid)[1].tobytes())
    return path


def _next_commands(args: argparse.Namespace) -> list[str]:
    detector = " ".join(args.detector)
    merge = f"derain-adapt merge {detector} --adapter {args.out} --out {args.out}_merged"
    if len(args.detector) == 2:
        return [f"derain-infer {detector} PHOTO --adapter {args.out} --out-dir seen", merge]
    return [
        "from derain_plugin.adapting import load_adapter  # in Python",
        f"model = load_adapter(AutoModelForObjectDetection.from_pretrained({detector!r}), "
        f"{str(args.out)!r})",
        merge,
    ]


def _merge(args: argparse.Namespace) -> None:
    from derain_plugin.adapting import load_adapter
    from derain_plugin.apis.merged_detector import write_merged_mmdet, write_merged_transformers

    loaded = load_detector(args)
    model = load_adapter(loaded.model, args.adapter)
    if loaded.source is None:
        write_merged_transformers(model, loaded.prepare, args.out)
        print(f"{args.out}: for derain_plugin.hf.FeatureDerainRTDetr.from_pretrained")
        return
    config, checkpoint = write_merged_mmdet(loaded.source, args.adapter, args.out)
    print(config, checkpoint, "", sep="\n")
    print(f"Next:\n  derain-infer {config} {checkpoint} PHOTO --out-dir seen")
