"""What is in a folder."""

import json
from pathlib import Path


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of every file, by its path; without the lock, which no run removes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def times(root: Path) -> dict[Path, int]:
    """When every image was last written to."""
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.suffix.lower() in (".jpg", ".png")
    }


def manifest_of(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())
