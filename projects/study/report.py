"""The study's report, made from its records: a page, its numbers as json, and plots."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write
from projects.study.arm_records import ArmRecords, PlannedArm, load_arms
from projects.study.arms import ARMS
from projects.study.report_numbers import (
    CONTROL,
    LONG_CONTROL,
    VANILLA,
    ReportPart,
    measure_parts,
    missing_seeds,
)
from projects.study.report_plots import draw_curves, draw_latency, draw_severities
from projects.study.report_tables import (
    diagnosis_table,
    differences_table,
    results_table,
    runs_table,
)
from projects.study.steps import ROOT

REPORTED_SPLIT = "test"
"""The split of ``study.md``; names of what is written for others end in theirs."""

TITLES = {REPORTED_SPLIT: "Does it work? The study", "val": "How the study's variants were chosen"}
HEADINGS = {
    CONTROL: "Against the fine-tune control",
    LONG_CONTROL: "Against the control with all 15 epochs",
    VANILLA: "Against the vanilla detector",
}
COSTS = ROOT / "projects/benchmark/results/benchmark/cpu_fp32_640px_batch1.json"
NO_CONCLUSIONS = "*No conclusions have been written yet.*"
RESULTS_NOTE = """\
AP is COCO's, on {images} images of the {split} split: clean, in our rain of severities 1-5, and in
rain of another generator (held-out), which nothing was trained on. AP rain 3-5: mean of these
three. mPC: mean of severities 1-5; rPC: mPC / AP clean. AP_S: small objects. Mean ± standard
deviation over training seeds, of which the second column has the number. Parameters come on top of
the vanilla detector's, latency is relative to its. All of this holds for {data}, this rain and
these detectors alone; for anything else it is a lead."""
DIFFERENCES_NOTE = """\
Differences in AP, with 95 % intervals of a paired bootstrap: a resample draws images, the same for
both arms, and training seeds. Bold: the interval excludes zero. Three seeds catch the luck of the
training only roughly, a single seed not at all. Intervals are not corrected for their number."""
CURVES_NOTE = "AP on validation images, mean over training seeds; dotted: where all start."
FAILURES_NOTE = """\
Images at severity 5 where the control finds most objects that the neck misses, and the other way
round: chosen for that, not typical. White in the mask: where the neck sees rain."""


def write_report(
    results: Path,
    docs: Path,
    *,
    split: str = REPORTED_SPLIT,
    data: str = "this self-made data",
    arms: Sequence[PlannedArm] = ARMS,
) -> str:
    """Write the page, ``report.json``, ``curves.png``, ``robustness.png`` and ``latency.png``.

    The page, ``study.md``, starts with the text of ``study_conclusions.md``, which people write.
    Arms without a record are named as not run, and so are seeds of others. For other splits than
    the test split names end in ``_<split>``, and there are no conclusions.

    Args:
        results: Folder of the study's results; its ``arms/`` has the records.
        docs: Folder of the page and the conclusions; by the command line that of the results.
        split: Of the records.
        data: What the page says that its claims are about.
        arms: What is listed, in this order.

    Returns:
        The text of the page.

    Raises:
        ValueError: There are no records, or they do not belong together.
    """
    found = load_arms(results, arms, split=split)
    parts = measure_parts(found, relative_latency=_relative_latency(results))
    missing = missing_seeds(found)
    suffix = "" if split == REPORTED_SPLIT else f"_{split}"
    report = dict(
        split=split,
        parts=[part.record() for part in parts],
        not_run=missing,
        **describe_machine(),
    )
    content = json.dumps(report, indent=1, allow_nan=False) + "\n"
    atomic_write(results / f"report{suffix}.json", content)
    _draw(found, parts, results, suffix)
    sections = [f"# {TITLES.get(split, f'The study on {split} images')}"]
    if split == REPORTED_SPLIT:
        sections.append(_conclusions(docs))
    for part in parts:
        sections += _tables(found, part, split=split, data=data)
    if inside := diagnosis_table(results, arms, split=split):
        sections += ["## Inside the detectors", *inside]
    sections += _images(results, docs, suffix)
    sections += _origin(found, missing, results, docs)
    docs.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(sections) + "\n"
    atomic_write(docs / f"study{suffix}.md", text)
    return text


def _relative_latency(results: Path) -> dict[str, float]:
    path = results / "latency.json"
    if not path.is_file():
        return {}
    return {name: arm["relative"] for name, arm in json.loads(path.read_text())["arms"].items()}


def _draw(
    arms: Sequence[ArmRecords], parts: Sequence[ReportPart], results: Path, suffix: str
) -> None:
    whole, *others = parts
    decide = {VANILLA, *(arm.plan.name for arm in arms if arm.plan.decides)}
    rows = list(whole.rows.values())
    slow = [
        dict(row, title=f"{row['title']} ({part.num_images} images)")
        for part in others
        for name, row in part.rows.items()
        if name not in whole.rows
    ]
    draw_curves(arms, results / f"curves{suffix}.png")
    draw_severities([r for r in rows if r["arm"] in decide], results / f"robustness{suffix}.png")
    draw_latency([*rows, *slow], results / f"latency{suffix}.png")


def _conclusions(docs: Path) -> str:
    path = docs / "study_conclusions.md"
    return path.read_text().strip() if path.is_file() else NO_CONCLUSIONS


def _tables(
    arms: Sequence[ArmRecords], part: ReportPart, *, split: str, data: str
) -> Iterator[str]:
    whole = part.num_images == max(arm.largest for arm in arms)
    where = "" if whole else f", first {part.num_images} images"
    yield "## Results" if whole else f"## Arms too slow for all images{where}"
    yield results_table(list(part.rows.values()))
    if whole:
        yield RESULTS_NOTE.format(images=part.num_images, split=split, data=data)
    titles = {arm.plan.name: arm.plan.title for arm in arms}
    for baseline, rows in part.differences.items():
        if rows:
            yield f"## {HEADINGS[baseline]}{where}"
            yield differences_table(rows, titles, baseline=titles[baseline])
    if whole:
        yield DIFFERENCES_NOTE


def _images(results: Path, docs: Path, suffix: str) -> Iterator[str]:
    folder = os.path.relpath(results, docs)
    for name, heading, note in (
        (f"robustness{suffix}.png", "AP against rain severity", ""),
        (f"curves{suffix}.png", "Learning curves", CURVES_NOTE),
        (f"latency{suffix}.png", "AP in rain against time", _detector_costs()),
        (f"failures{suffix}.jpg", "Where the neck fails, and where it helps", FAILURES_NOTE),
    ):
        if (results / name).is_file():
            yield f"## {heading}"
            yield f"![{heading}]({folder}/{name})"
            if note:
                yield note


def _detector_costs() -> str:
    """Quote what the necks cost in front of a detector of ordinary size."""
    if not COSTS.is_file():
        return ""
    costs = [
        f"{row['derain']} {row['overhead_alone']:,.1%}"
        for row in json.loads(COSTS.read_text())["inference"]
        if row["derain"]
    ]
    return (
        "A neck weighs more beside a small detector. Of the time of RT-DETR-R18 at 640 px, by "
        f"`tools/benchmark.py`: {', '.join(costs)}."
    )


def _origin(
    arms: Sequence[ArmRecords], missing: dict[str, list[int | str]], results: Path, docs: Path
) -> Iterator[str]:
    yield "## What has run"
    yield runs_table([arm for arm in arms if arm.by_seed], missing)
    if idle := [arm.plan.title for arm in arms if not arm.by_seed]:
        yield f"Not run: {'; '.join(idle)}."
    unlisted = {path.name for path in (results / "arms").iterdir()} - {a.plan.name for a in arms}
    if unlisted:
        yield f"There are records of arms that are not listed: {', '.join(sorted(unlisted))}."
    ran = [record for arm in arms for record in arm.by_seed.values()]
    for key in ("hardware", "versions"):
        yield f"{key.capitalize()}: {'; '.join(sorted({record[key] for record in ran}))}."
    latency = results / "latency.json"
    if latency.is_file():
        timed = json.loads(latency.read_text())
        yield (
            f"Latency: median time of a {timed['size']} x {timed['size']} px image, random "
            f"weights, in turns; {timed['date']}, commit {timed['commit']}, {timed['hardware']}."
        )
    records = os.path.relpath(results / "arms", docs)
    yield f"Written by `python tools/study.py` from [one record per arm and seed]({records})."
