"""The report of a benchmark, for people to read: a table and a chart."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from derain_plugin.files import atomic_write
from projects.benchmark.rain_cost import WORKERS

Column = tuple[str, Callable[[Mapping[str, Any]], str]]
MISSING = "-"
INFERENCE_NOTE = """\
Per image, medians; all in turns in one process, random weights and images, from uint8 pixels
to boxes. In round brackets the de-rain part's share. *In the model*: median of the paired
differences of with and without the part, with its 95 % interval; *alone*: the part by itself, on
what the detector gives it. Overhead: relative to the same detector without the part. Peak memory:
weights, and what torch allocates while it runs; of the part, what it allocates alone. Faster than
SPDNet: the part, alone.
"""
TRANSFORMERS_NOTE = """\
Faster than transformers: than its own vanilla model in eager mode with its own post-processing, in
the same run; medians of paired ratios, with their 95 % interval.
"""
EXPORTED_NOTE = """\
Exported files run in the precision beside their names, with as many threads as torch; what
de-raining takes in them is the paired difference from the file without, of the same library and
precision.
"""
TRAINING_NOTE = """\
Forward, losses, backward, AdamW; everything trains, at one size; the same images and boxes for
all. Images/s are medians, the ratio to transformers' model is the median of paired ones.
"""


def _show(key: str, form: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: format(row[key], form)


def _show_share(key: str, form: str, share_form: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        share = row.get(f"derain_{key}")
        whole = format(row[key], form)
        return whole if share is None else f"{whole} ({share:{share_form}})"

    return cell


def _derain_ms(row: Mapping[str, Any]) -> str:
    low, high = row["derain_ms_interval"]
    return f"{row['derain_ms']:,.1f} [{low:,.1f}, {high:,.1f}]"


def _against_transformers(row: Mapping[str, Any]) -> str:
    ratio = f"{row['against_transformers']:.2f}"
    interval = row.get("against_transformers_interval")
    return ratio if interval is None else f"{ratio} [{interval[0]:.2f}, {interval[1]:.2f}]"


INFERENCE: tuple[Column, ...] = (
    ("config", lambda row: row["config"]),
    ("de-raining", lambda row: row["derain"] or "none"),
    ("parameters", _show_share("parameters", ",", ",")),
    ("GFLOPs", _show_share("gflops", ",.1f", ",.2f")),
    ("total ms", _show("total_ms", ",.0f")),
    ("p95", _show("p95_ms", ",.0f")),
    ("FPS", _show("fps", ".2f")),
    ("de-rain ms in the model", _derain_ms),
    ("overhead", _show("overhead", ",.1%")),
    ("de-rain ms alone", _show("derain_alone_ms", ",.1f")),
    ("overhead alone", _show("overhead_alone", ",.1%")),
    ("peak MB", _show_share("memory_mb", ",.0f", ",.1f")),
    ("faster than SPDNet", _show("speed_up", ",.0f")),
    ("faster than transformers", _against_transformers),
    ("rounds", _show("rounds", "d")),
)
TRAINING: tuple[Column, ...] = (
    ("model", lambda row: row["model"]),
    ("de-raining", lambda row: row["derain"] or "none"),
    ("images/s", _show("images_per_second", ".2f")),
    ("against transformers", _show("relative", ".3f")),
    ("95 % interval", lambda row: "[{:.3f}, {:.3f}]".format(*row["relative_interval"])),
    ("rounds", _show("rounds", "d")),
)


def report_text(report: Mapping[str, Any]) -> str:
    """Return a report's table, what to know of it, and where it was measured, as markdown."""
    if "inference" in report:
        rows = report["inference"]
        parts = [_markdown_table(rows, INFERENCE), _inference_note(rows)]
    else:
        parts = [_markdown_table(report["training"], TRAINING), _loader_note(report)]
    return "\n\n".join([*parts, _caption(report)]) + "\n"


def _inference_note(rows: Sequence[Mapping[str, Any]]) -> str:
    note = INFERENCE_NOTE
    if any("against_transformers" in row for row in rows):
        note += TRANSFORMERS_NOTE
    if any("parameters" not in row for row in rows):
        note += EXPORTED_NOTE
    return note.strip()


def _markdown_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    filled = [(heading, [_cell(cell, row) for row in rows]) for heading, cell in columns]
    filled = [(heading, cells) for heading, cells in filled if set(cells) != {MISSING}]
    lines = [[heading for heading, _ in filled], ["---", *["---:"] * (len(filled) - 1)]]
    lines += [[cells[index] for _, cells in filled] for index in range(len(rows))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Callable[[Mapping[str, Any]], str], row: Mapping[str, Any]) -> str:
    try:
        return cell(row)
    except (KeyError, TypeError):
        return MISSING


def _loader_note(report: Mapping[str, Any]) -> str:
    clean, rainy = report["loader_images_per_second"].values()
    fastest = max(row["images_per_second"] for row in report["training"])
    return (
        f"{TRAINING_NOTE}A data loader of {WORKERS} workers gives {clean:.0f} images/s without "
        f"rain and {rainy:.0f} with 70 % rainy at severity 3, {rainy / fastest:.1f} x what the "
        "fastest of these takes."
    )


def _caption(report: Mapping[str, Any]) -> str:
    setting = report["setting"]
    command = f"python tools/benchmark.py {report['arguments']}"
    layout = ", channels last" * setting["channels_last"]
    return (
        f"`{command.strip()}`, {report['date']}, commit "
        f"{report['commit']}, {report['hardware']}, {report['versions']}. {setting['device']}, "
        f"{setting['dtype']}, {setting['size']} x {setting['size']} px, batch "
        f"{setting['batch_size']}, {setting['backend']}{layout}."
    )


def draw_bars(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw time per image and memory of the de-rain part, both on logarithmic axes.

    Args:
        rows: Of :func:`projects.benchmark.inference.measure_inference`.
        path: The image to write, in the format of its suffix.
    """
    figure = Figure(figsize=(9, 1.2 + 0.5 * len(rows)), layout="constrained")
    time, derain, memory = figure.subplots(1, 3, sharey=True)
    names = [row["derain"] or "no de-raining" for row in rows]
    if len(set(names)) < len(names):
        names = [row["config"] for row in rows]
    _bars(time, names, [row["total_ms"] for row in rows], "detector in all, ms / image")
    _bars(derain, names, [row.get("derain_alone_ms") for row in rows], "de-raining, ms / image")
    _bars(memory, names, [row.get("derain_memory_mb") for row in rows], "de-raining, peak MB")
    time.invert_yaxis()
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format=path.suffix.removeprefix("."))
    atomic_write(path, image.getvalue())


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float | None], label: str) -> None:
    shown = [(index, value) for index, value in enumerate(values) if value]
    axes.set_xscale("log")
    for index, value in shown:
        bars = axes.barh(index, value, color=f"C{index}")
        axes.bar_label(bars, labels=[f"{value:,.3g}" if value < 100 else f"{value:,.0f}"])
    axes.margins(x=0.25)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(label, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
