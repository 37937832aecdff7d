"""Compare what de-raining costs: the command line of ``tools/benchmark.py``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import derain_plugin
from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write
from projects.benchmark import CONFIGS
from projects.benchmark.setting import BACKENDS, DTYPES, Setting

DESCRIPTION = """\
Measure what de-raining costs: detectors without, behind SPDNet, and with either neck, in turns in
one process. Prints a table and writes it as .md and .json, with a bar chart, under a name that
says the circumstances. Weights are random; they cost what trained ones do. Files of
tools/export.py can be rows, too. With --train, measures training steps beside transformers' own
RT-DETR instead, and whether the data loader keeps up.
"""
EXAMPLE = """\
Examples:
  python tools/benchmark.py                           # SPDNet takes some 20 s an image on 2 cores
  python tools/benchmark.py --device cuda --dtype fp16 --batch 8
  python tools/benchmark.py --only configs/rtdetr_r50_featderain_ms.py mine.py --backend compile
  python tools/benchmark.py --only configs/rtdetr_r18_coco.py ms.onnx ms_bf16.xml --transformers
  python tools/benchmark.py --train --batch 4
"""
COMPARED = [
    str(CONFIGS / f"rtdetr_r18_{name}.py")
    for name in ("coco", "spdnet", "featderain_ms", "featderain_lite")
]


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to compare, and under which circumstances."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "configs",
        nargs="*",
        help="further configs, besides rtdetr_r18_coco.py, _spdnet.py (not with --train), "
        "_featderain_ms.py and _featderain_lite.py of configs/; or exported files, .onnx or .xml",
    )
    parser.add_argument("--only", action="store_true", help="these configs, not the four")
    parser.add_argument(
        "--transformers",
        action="store_true",
        help="also transformers' own model of the first config, and how much faster all are",
    )
    parser.add_argument("--train", action="store_true", help="measure training steps")
    parser.add_argument("--batch", type=int, default=1, help="images at once; default 1")
    parser.add_argument("--size", type=int, default=640, help="px; default 640 x 640")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N; default cpu")
    parser.add_argument("--dtype", choices=list(DTYPES), default="fp32", help="by autocast")
    parser.add_argument("--channels-last", action="store_true", help="memory format of weights")
    parser.add_argument("--backend", choices=BACKENDS, default="eager", help="compile: minutes")
    parser.add_argument("--threads", type=int, help="of torch on the CPU; default: torch's")
    parser.add_argument("--rounds", type=int, default=30, help="of timing; default 30")
    parser.add_argument(
        "--seconds",
        type=float,
        default=120,
        help="limit of timing for each config; one that is slower gets fewer rounds, at least 3",
    )
    parser.add_argument(
        "--out-dir", default="projects/benchmark/results/benchmark", help="default: %(default)s"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    args = parser.parse_args(arguments)
    if args.train and (args.backend != "eager" or args.dtype == "fp16"):
        parser.error("--train goes with --backend eager and --dtype fp32 or bf16 only")
    if args.train and (args.transformers or any(map(_is_exported, args.configs))):
        parser.error("--train takes configs alone; transformers' model is always beside them")
    if args.only and not args.configs:
        parser.error("--only needs the configs to compare")
    if args.rounds < 3:
        parser.error("--rounds must be at least 3")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    derain_plugin.register_all_modules()
    from projects.benchmark.report import report_text  # what takes long to load, for --help

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notes of its own start
    try:
        setting = Setting(
            batch_size=args.batch,
            size=args.size,
            device=args.device,
            dtype=args.dtype,
            channels_last=args.channels_last,
            backend=args.backend,
            threads=args.threads,
        )
        setting.use_threads()
        out = _claim(Path(args.out_dir), ("training_" * args.train) + setting.name, args.overwrite)
        report = _train(args, setting) if args.train else _infer(args, setting, out)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark: {error}")
    report |= dict(setting=asdict(setting), arguments=_spoken(arguments), **describe_machine())
    text = report_text(report)
    atomic_write(out.with_suffix(".json"), json.dumps(report, indent=1))
    atomic_write(out.with_suffix(".md"), text)
    print(f"\n{text}\n{out.with_suffix('.md')}")


def _claim(folder: Path, name: str, overwrite: bool) -> Path:
    out = folder / name
    if out.with_suffix(".md").exists() and not overwrite:
        raise ValueError(f"{out}.md exists: --overwrite replaces it, --out-dir writes elsewhere")
    folder.mkdir(parents=True, exist_ok=True)
    return out


def _configs(args: argparse.Namespace) -> list[str]:
    defaults = [name for name in COMPARED if not (args.train and name.endswith("_spdnet.py"))]
    return args.configs if args.only else [*defaults, *args.configs]


def _infer(args: argparse.Namespace, setting: Setting, out: Path) -> dict[str, Any]:
    from projects.benchmark.inference import measure_inference
    from projects.benchmark.report import draw_bars

    rows = measure_inference(
        _configs(args),
        setting,
        rounds=args.rounds,
        seconds=args.seconds,
        with_transformers=args.transformers,
        tell=_tell,
    )
    draw_bars(rows, out.with_suffix(".png"))
    return dict(inference=rows)


def _train(args: argparse.Namespace, setting: Setting) -> dict[str, Any]:
    from projects.benchmark.rain_cost import loader_rates
    from projects.benchmark.training import measure_training

    _tell("data loader")
    with tempfile.TemporaryDirectory() as folder:
        rates = loader_rates(Path(folder))
    rows = measure_training(_configs(args), setting, rounds=args.rounds, tell=_tell)
    return dict(training=rows, loader_images_per_second=rates)


def _is_exported(name: str) -> bool:
    from derain_plugin.apis.exported_model import is_exported

    return is_exported(name)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _spoken(arguments: Sequence[str] | None) -> str:
    return shlex.join(sys.argv[1:] if arguments is None else arguments)
