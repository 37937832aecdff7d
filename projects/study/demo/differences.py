"""How the models differ from the control, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from derain_plugin.evaluation.comparison import Comparison, ComparisonRow, compare
from projects.study.demo.plan import CONTROL, Plan

MEASURES = {"P": "AP clean", "mPC": "mPC", "rPC": "rPC", "held_out": "AP held-out rain"}


def compare_with_control(plan: Plan) -> Comparison:
    """Compare the predictions that the demo's tests saved, the control's being the baseline."""
    models = sorted(plan.models, key=lambda model: model.config != CONTROL)
    annotations = plan.data / "annotations/instances_test2017.json"
    return compare({m.title: [plan.predictions_of(m)] for m in models}, {"*": annotations})


def differences_table(comparison: Comparison) -> str:
    """Format the differences in clean AP, mPC and rPC as markdown."""
    titles = list(dict.fromkeys(row.model for row in comparison.rows))
    lines = [
        ["against the control", *MEASURES.values()],
        ["---", *["---:"] * len(MEASURES)],
        *([title, *_cells(comparison.rows, title)] for title in titles),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(rows: Sequence[ComparisonRow], title: str) -> list[str]:
    found = {row.condition: row for row in rows if row.model == title}
    return [
        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        for row in (found[name] for name in MEASURES)
    ]
