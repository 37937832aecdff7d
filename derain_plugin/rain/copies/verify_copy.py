"""Compare a rainy copy with what its manifest says."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from derain_plugin.files import sha256_of
from derain_plugin.rain.copies.manifest import OWN_FILES, Manifest, read_manifest
from derain_plugin.rain.worker_pool import in_any_order


class Verdict(NamedTuple):
    """Paths in the copy that are not as recorded, each list in order."""

    manifest: Manifest
    missing: list[str]
    altered: list[str]
    extra: list[str]

    @property
    def is_good(self) -> bool:
        """Whether every file is there and as it was made, and nothing else."""
        return not (self.missing or self.altered or self.extra)


def verify_copy(out: str | Path, *, num_workers: int = 1) -> Verdict:
    """Hash every file of a copy; write nothing.

    Raises:
        FileNotFoundError: ``out`` has no manifest.
        ValueError: The copy is not complete, so there is nothing to compare it with.
    """
    out = Path(out)
    manifest = read_manifest(out)
    if manifest is None:
        raise FileNotFoundError(f"{out} has no manifest.json, so it is not a rainy copy")
    if not manifest.complete:
        raise ValueError(f"{out} is not complete: run the command that makes it again")
    recorded = manifest.files.keys()
    present = {
        Path(folder, name).relative_to(out).as_posix()
        for folder, _, names in os.walk(out)
        for name in names
    }
    altered = []
    # Threads do: hashing and reading release the interpreter.
    with ThreadPoolExecutor(num_workers) as pool:
        results = in_any_order(pool, partial(_digest, out), sorted(recorded & present))
        total = len(recorded & present)
        for path, digest in tqdm(results, total=total, desc=out.name, unit="file"):
            if digest != manifest.files[path]["sha256"]:
                altered.append(path)
    missing, extra = sorted(recorded - present), sorted(present - recorded - OWN_FILES)
    return Verdict(manifest, missing, sorted(altered), extra)


def _digest(out: Path, path: str) -> tuple[str, str | None]:
    """The checksum of a file; None where a bad disk or its permissions deny it."""
    try:
        return path, sha256_of(out / path)
    except OSError:
        return path, None
