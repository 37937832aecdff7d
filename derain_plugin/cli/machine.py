"""Where and with what a figure was measured."""

import datetime
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def describe_machine() -> dict[str, str]:
    """Return date, commit, hardware and versions, for people to read."""
    import mmdet
    import mmengine
    import torch
    import transformers

    return dict(
        date=datetime.date.today().isoformat(),
        commit=commit_of(ROOT),
        hardware=f"{_processor()}, {torch.get_num_threads()} threads",
        versions=(
            f"torch {torch.__version__}, mmengine {mmengine.__version__}, "
            f"mmdet {mmdet.__version__}, transformers {transformers.__version__}"
        ),
    )


def commit_of(root: Path) -> str:
    """Return the commit of a checkout, marked where files differ from it, or ``unknown``."""
    if not (root / ".git").exists():  # installed, perhaps inside the checkout of something else
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(
            command, cwd=root, text=True, capture_output=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.machine()
