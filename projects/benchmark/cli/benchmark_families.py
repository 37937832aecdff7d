"""Measure all sizes of the RT-DETR family: the command line of ``tools/benchmark_families.py``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write

DESCRIPTION = """\
Measure every size of the RT-DETR family behind the multi-scale neck, with random weights: its
parameters, FLOPs and time and the neck's share of each, how far it is from transformers' unsplit
model, and what exported files of it find. Writes one json for each size and families.md for all
that are there; a size whose json is there is not measured again, so a stopped run goes on.
"""
EPILOG = """\
Examples:
  python tools/benchmark_families.py
  python tools/benchmark_families.py --archs deimv2_n deimv2_s --exports onnx:fp32 openvino:fp32
"""
EXPORTS = ("onnx:fp32",)
NOTE = """\
Behind `MultiScaleFeatureDerain`, one square image at a time; neck: its share of parameters, of
FLOPs, and of the time without it, and behind it the exported file's (medians of paired
differences and their 95 % intervals). Inside: time from entering to leaving the neck while the
detector runs, relative to the run without it, which is far less noisy; lite: of
`LightweightFeatureDerain`. Parity: largest difference of logits and boxes (0-1) from
transformers' unsplit model, weights moved at random, two sizes, batches of two. Exported:
detections of 0.05 or more on five photographs that agree with PyTorch's, of all that either has.
Weights are random, so that is how well the graph is kept, no AP; where a few differ, near-equal
scores chose other queries or another order of them.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to measure."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--archs", nargs="+", metavar="ARCH", help="by default all")
    parser.add_argument("--size", type=int, default=640, help="px; default %(default)s")
    parser.add_argument("--rounds", type=int, default=11, help="of timing; default %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=60, help="limit of timing, of each; default %(default)s"
    )
    parser.add_argument("--threads", type=int, help="of torch; default all cores")
    parser.add_argument(
        "--exports",
        nargs="*",
        default=EXPORTS,
        metavar="FORMAT:PRECISION",
        help=f"files to try out; default {' '.join(EXPORTS)}. In bf16 and int8 it is chance which "
        "queries random weights choose",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("work_dirs/benchmark/families"),
        help="folder; default: %(default)s",
    )
    parser.add_argument("--overwrite", action="store_true", help="measure again what is there")
    args = parser.parse_args(arguments)
    if args.rounds < 3 or args.seconds <= 0:
        parser.error("--rounds must be at least 3, and --seconds above 0")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(arguments)
    import derain_plugin  # what takes long to load, for --help
    from derain_plugin.models.rtdetr.config import ARCHITECTURES

    derain_plugin.register_all_modules()
    archs = args.archs or list(ARCHITECTURES)
    if unknown := sorted(set(archs) - set(ARCHITECTURES)):
        sys.exit(f"benchmark_families: unknown {unknown[0]}; there are {', '.join(ARCHITECTURES)}")
    try:
        _measure(archs, args, shlex.join(sys.argv[1:] if arguments is None else arguments))
    except (ValueError, ImportError) as error:
        sys.exit(f"benchmark_families: {error}")
    kept = [args.out / f"{arch}.json" for arch in ARCHITECTURES]
    text = report_text([json.loads(file.read_text()) for file in kept if file.is_file()])
    atomic_write(args.out / "families.md", text)
    print(text)


def _measure(archs: Sequence[str], args: argparse.Namespace, command: str) -> None:
    from derain_plugin.export.export_detector import Export
    from projects.benchmark.families import measure_architecture
    from projects.benchmark.setting import Setting

    setting = Setting(size=args.size, threads=args.threads)
    setting.use_threads()
    exports = [Export(*text.split(":")) for text in args.exports]
    args.out.mkdir(parents=True, exist_ok=True)
    for number, arch in enumerate(archs, start=1):
        file = args.out / f"{arch}.json"
        if file.is_file() and not args.overwrite:
            print(f"{arch}: {file} is there")
            continue
        print(f"{number} of {len(archs)}: {arch}")
        row = measure_architecture(
            arch, setting, rounds=args.rounds, seconds=args.seconds, exports=exports
        )
        report = dict(row, arguments=command, **describe_machine())
        atomic_write(file, json.dumps(report, indent=1))


def report_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of all rows, with what they were measured on."""
    exports = list(dict.fromkeys(name for row in rows for name in row["exports"]))
    head = ["arch", "px", "parameters (M)", "neck", "GFLOPs", "neck", "ms", "neck"]
    head += ["inside", "lite", "parity", *(cell for name in exports for cell in (name, "neck"))]
    table = [head, ["---", *["---:"] * (len(head) - 1)]]
    table += [_cells(row, exports) for row in rows]
    runs = {_run(row) for row in rows}
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    return "\n".join([*lines, "", NOTE, *sorted(runs), ""])


def _run(row: Mapping[str, Any]) -> str:
    command = f"python tools/benchmark_families.py {row['arguments']}".strip()
    return (
        f"`{command}`, {row['date']}, commit {row['commit']}, {row['hardware']}, {row['versions']}."
    )


def _cells(row: Mapping[str, Any], exports: Sequence[str]) -> list[str]:
    cost, parity, inside = row["cost"], row["parity"], row.get("inside", {})
    share = cost["derain_parameters"] / cost["parameters"]
    detector = cost["gflops"] - cost["derain_gflops"]
    without = cost["derain_ms"] / cost["overhead"] if cost["overhead"] else cost["total_ms"]
    low, high = (100 * bound / without for bound in cost["derain_ms_interval"])
    return [
        row["arch"],
        str(row["size"]),
        f"{cost['parameters'] / 1e6:.2f}",
        f"{share:.1%}",
        f"{cost['gflops']:.1f}",
        f"{cost['derain_gflops'] / detector:.1%}",
        f"{cost['total_ms']:.0f}",
        f"{cost['overhead']:.1%} [{low:.1f}, {high:.1f}]",
        *(_share(inside.get(f"{name}FeatureDerain")) for name in ("MultiScale", "Lightweight")),
        f"{max(parity.values()):.1g}",
        *(cell for name in exports for cell in _exported(row["exports"].get(name))),
    ]


def _exported(found: Mapping[str, Any] | None) -> tuple[str, str]:
    if found is None:
        return "-", "-"
    if "refused" in found:
        return "refused", "-"
    return f"{found['matched']} of {found['compared']}", _share(found if "share" in found else None)


def _share(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    low, high = (100 * bound for bound in found["share_interval"])
    return f"{found['share']:.1%} [{low:.1f}, {high:.1f}]"
