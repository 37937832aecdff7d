"""Make a rainy copy of an image folder, or the rest of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from derain_plugin.files import PARTIAL_SUFFIX, lock_dir, sha256_of
from derain_plugin.rain.copies.manifest import Manifest, open_manifest, refuse_foreign
from derain_plugin.rain.copies.recipe import Recipe
from derain_plugin.rain.copies.render_image import Job, Outcome, render_image
from derain_plugin.rain.images import (
    SourceImage,
    find_images,
    listed_images,
    refuse_overlap,
)
from derain_plugin.rain.worker_pool import in_any_order, worker_pool


class CopyReport(NamedTuple):
    """How many files a copy has, how many are new, and why images are left out."""

    num_files: int
    num_new: int
    unreadable: dict[str, str]


def make_rainy_copy(
    images: str | Path,
    out: str | Path,
    *,
    recipe: Recipe,
    annotations: str | Path | None = None,
    num_workers: int = 1,
) -> CopyReport:
    """Render rain on every image below ``images`` into a file of the same name in ``out``.

    Files appear whole or not at all. A run that was stopped is continued: files that are there
    stay, and the result is, byte for byte, that of an uninterrupted run. ``images`` is only read.

    Args:
        images: Folder of images, in any sub-folders.
        out: Folder for the copy, made if needed; one that holds anything else is refused.
        recipe: What rain.
        annotations: A COCO file: copy the images that it lists, with its ids. Without it
            all are copied, and the id is the number in the file's name.
        num_workers: Processes; the files do not depend on it.

    Raises:
        FileNotFoundError: ``images`` or ``annotations`` does not exist.
        OSError: A file cannot be written; those finished before stay.
        ValueError: There is nothing to copy, ``out`` overlaps ``images``, holds something else
            or is in use, or ``num_workers`` is not positive.
        BrokenProcessPool: A worker was killed.
    """
    images, out = Path(images).resolve(), Path(out).resolve()
    if num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, got {num_workers}")
    sources = (
        find_images(images) if annotations is None else listed_images(images, Path(annotations))
    )
    refuse_overlap(images, sources, out)
    refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    with lock_dir(out):
        source = dict(images=str(images), annotations=_identify(annotations))
        manifest = open_manifest(out, {**source, **recipe.parameters()})
        present = _clear_up(out)
        manifest.files = {path: manifest.files[path] for path in present & manifest.files.keys()}
        work = partial(render_image, images=images, out=out, recipe=recipe)
        jobs = _jobs(sources, recipe, manifest)
        num_new = _run(jobs, work, manifest=manifest, out=out, num_workers=num_workers)
    return CopyReport(len(manifest.files), num_new, manifest.unreadable)


def _run(
    jobs: list[Job],
    work: Callable[[Job], Outcome],
    *,
    manifest: Manifest,
    out: Path,
    num_workers: int,
) -> int:
    """Do the jobs and record them; return how many files are new."""
    num_new = 0
    manifest.unreadable = {}
    if jobs:
        manifest.complete = False
        manifest.write(out)
        with (
            worker_pool(min(num_workers, len(jobs))) as pool,
            tqdm(total=len(jobs), desc=out.name, unit="image") as bar,
        ):
            for outcome in in_any_order(pool, work, jobs):
                manifest.files |= outcome.files
                num_new += outcome.num_new
                if outcome.unreadable is not None:
                    manifest.unreadable[outcome.source.path] = outcome.unreadable
                bar.update()
    manifest.complete = True
    manifest.write(out)
    return num_new


def _jobs(sources: list[SourceImage], recipe: Recipe, manifest: Manifest) -> list[Job]:
    """What is left to do; files that the manifest knows are done."""
    jobs = []
    for source in sources:
        targets = recipe.targets(source)
        left = {path: targets[path] for path in targets if path not in manifest.files}
        if left:
            jobs.append(Job(source, left))
    return jobs


def _clear_up(out: Path) -> set[str]:
    """Remove half-written files, and return the paths of all others."""
    present = set()
    for folder, _, names in os.walk(out):
        for name in names:
            path = Path(folder, name)
            if name.endswith(PARTIAL_SUFFIX):
                path.unlink()
            else:
                present.add(path.relative_to(out).as_posix())
    return present


def _identify(annotations: str | Path | None) -> str | None:
    """Which ids the images have, wherever the file lies."""
    if annotations is None:
        return None
    return f"{Path(annotations).name} sha256:{sha256_of(Path(annotations))}"
