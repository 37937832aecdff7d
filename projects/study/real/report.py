"""The report of the study on real rain: tables, their numbers as json, a figure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import describe_machine
from derain_plugin.evaluation.comparison import ComparisonRow
from derain_plugin.files import atomic_write
from projects.study.real.arms import ARMS, CONTROL, VANILLA, RealArm
from projects.study.real.comparison import ArmResults, differences, load_results
from projects.study.real.figure import draw_differences
from projects.study.real.measures import MEASURES
from projects.study.real.photographs import SETS
from projects.study.report_tables import markdown

PAGE, FIGURE = "real_rain.md", "car_ap.png"
BEGIN, END = "<!-- real rain: begin -->", "<!-- real rain: end -->"
MISSING = "-"
SHOWN = dict(AP=("coco", "highway"), **{"car AP": tuple(each.name for each in SETS)})
"""Measures in the tables of differences, and the sets they are shown for."""

RESULTS_NOTE = """\
Mean over training seeds ± standard deviation. Sets to the left of DAWN rain were there to choose
by; DAWN rain and the report half of the fog decide, and nothing was chosen by them."""
DIFFERENCES_NOTE = """\
95 % intervals of a paired bootstrap over photos and training seeds; bold: the interval excludes
zero. Intervals are not corrected for their number, and one seed says nothing of the luck of a
training."""


def write_report(
    results: Path, docs: Path, *, control: str = CONTROL, arms: Sequence[RealArm] = ARMS
) -> str:
    """Write ``report.md``, ``report.json`` and the figure, and put the tables into the page.

    Args:
        results: Folder of the records, in its ``arms``.
        docs: Folder whose ``real_rain.md`` gets the tables between its markers, if it is there.
        control: The arm that all are compared with, beside vanilla.
        arms: What is listed, in this order.

    Returns:
        The text of the report.
    """
    found = load_results(results, arms)
    by_name = {each.arm.name: each for each in found}
    compared = {name: differences(found, by_name[name]) for name in (VANILLA, control)}
    results.mkdir(parents=True, exist_ok=True)
    content = json.dumps(_numbers(found, compared), indent=1, allow_nan=False) + "\n"
    atomic_write(results / "report.json", content)
    ran = [each for each in found if each.records]
    if ran:
        most = max(len(each.records) for each in ran)  # one seed says little
        drawn = {each.arm.name: each.arm.title for each in ran if len(each.records) == most}
        draw_differences(compared[VANILLA], drawn, results / FIGURE)
    text = "\n\n".join(_sections(found, compared)) + "\n"
    atomic_write(results / "report.md", text)
    page = docs / PAGE
    if page.is_file():
        figure = (
            f"\n![Car AP by weather, against vanilla]({os.path.relpath(results, docs)}/{FIGURE})\n"
        )
        atomic_write(page, between_markers(page.read_text(), text + (figure if ran else "")))
    return text


def between_markers(page: str, text: str) -> str:
    """Return a page with ``text`` between its markers.

    Raises:
        ValueError: It has no markers.
    """
    parts = re.split(f"({re.escape(BEGIN)}|{re.escape(END)})", page)
    if parts[1::2] != [BEGIN, END]:
        raise ValueError(f"the page needs one line {BEGIN} and one line {END}, in this order")
    parts[2] = f"\n\n{text.strip()}\n\n"
    return "".join(parts)


def _numbers(
    found: Sequence[ArmResults], compared: Mapping[str, Mapping[str, list[ComparisonRow]]]
) -> dict[str, Any]:
    rows = [
        dict(
            arm=each.arm.name,
            seeds=list(each.records),
            sets={
                photos.name: {
                    measure: dict(mean=mean, interval=each.interval(photos.name, measure))
                    for measure in MEASURES
                    if (mean := each.mean(photos.name, measure)) is not None
                }
                for photos in SETS
            },
        )
        for each in found
    ]
    against = {
        name: {photos: [row.record() for row in part] for photos, part in sets.items()}
        for name, sets in compared.items()
    }
    return dict(arms=rows, differences=against, **describe_machine())


def _sections(
    found: Sequence[ArmResults], compared: Mapping[str, Mapping[str, list[ComparisonRow]]]
) -> list[str]:
    sections = []
    for measure in ("car AP", "AP", "AP50") if any(each.records for each in found) else ():
        sections += [f"### {measure[0].upper()}{measure[1:]}", results_table(found, measure)]
    sections += [RESULTS_NOTE] * bool(sections)
    titles = {each.arm.name: each.arm.title for each in found}
    for name, sets in compared.items():
        if any(sets.values()):
            sections.append(f"### Against {titles[name]}")
            sections.append(differences_table(found, sets, baseline=name))
    if any(any(sets.values()) for sets in compared.values()):
        sections.append(DIFFERENCES_NOTE)
    return [*sections, *_origin(found)]


def results_table(found: Sequence[ArmResults], measure: str) -> str:
    """Format a measure on all sets, a line for each arm that has run."""
    lines = [
        [
            each.arm.title,
            str(len(each.records)),
            *(_cell(each, photos.name, measure) for photos in SETS),
        ]
        for each in found
        if each.records
    ]
    return markdown(["arm", "seeds", *(photos.title for photos in SETS)], lines)


def _cell(each: ArmResults, set_name: str, measure: str) -> str:
    mean = each.mean(set_name, measure)
    if mean is None:
        return MISSING
    deviation = each.deviation(set_name, measure)
    return f"{mean:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def differences_table(
    found: Sequence[ArmResults], sets: Mapping[str, list[ComparisonRow]], *, baseline: str
) -> str:
    """Format differences with their 95 % intervals; those that exclude zero are bold."""
    titles = {each.name: each.title for each in SETS}
    rows = {(row.model, name, row.condition): row for name, part in sets.items() for row in part}
    columns = [(name, measure) for measure, names in SHOWN.items() for name in names]
    lines = [
        [each.arm.title, *(_difference(rows.get((each.arm.name, *column))) for column in columns)]
        for each in found
        if each.records and each.arm.name != baseline
    ]
    return markdown(["arm", *(f"{measure}: {titles[name]}" for name, measure in columns)], lines)


def _difference(row: ComparisonRow | None) -> str:
    if row is None:
        return MISSING
    cell = f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
    return f"**{cell}**" if row.excludes_zero else cell


def _origin(found: Sequence[ArmResults]) -> list[str]:
    ran = [record for each in found for record in each.records.values()]
    if not ran:
        return ["No arm has run yet."]
    idle = [each.arm.title for each in found if not each.records]
    looked = sorted(
        part["looked_at"]
        for record in ran
        for photos in SETS
        if photos.is_reported and (part := record["sets"].get(photos.name))
    )
    when = f"were looked at from {looked[0]} to {looked[-1]} UTC" if looked else "wait"
    lines = [f"The report's sets {when}."]
    for key in ("commit", "date", "hardware", "versions"):
        values = sorted({record[key] for record in ran})
        lines.append(f"{key.capitalize()}: {'; '.join(values)}.")
    return [f"Not run: {'; '.join(idle)}."] * bool(idle) + [" ".join(lines)]
