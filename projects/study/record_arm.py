"""Record what the commands of an arm left: ``python -m projects.study.record_arm``.

Finds the files whose names are not known before these commands have run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from projects.study import record


def main(arguments: Sequence[str] | None = None) -> None:
    """Hand the files of the newest test, and the training's seconds, to ``record``."""
    parser = argparse.ArgumentParser(description="Other options are those of record.")
    parser.add_argument("--tested", type=Path, required=True, help="work dir of tools/test.py")
    parser.add_argument("--timing", type=Path, help="record of the step that made the weights")
    args, others = parser.parse_known_args(arguments)
    reports = args.tested.glob("*/robustness.json")
    robustness = max(reports, default=args.tested / "robustness.json")  # record says it is missing
    seconds = json.loads(args.timing.read_text())["seconds"] if args.timing else 0.0
    predictions = args.tested / "predictions.pkl"
    record.main(
        [
            *others, "--predictions", str(predictions), "--robustness", str(robustness),
            "--seconds", str(seconds),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
