"""The file that says what a rainy copy is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from derain_plugin.files import PARTIAL_SUFFIX, atomic_write

MANIFEST = "manifest.json"
OWN_FILES = frozenset((MANIFEST, MANIFEST + PARTIAL_SUFFIX, ".lock"))
"""What a copy holds besides its images."""


class FileRecord(TypedDict):
    """What is known of one file of a copy."""

    sha256: str
    severity: int
    image_id: int | str


@dataclass
class Manifest:
    """What a copy is made with, and of.

    Attributes:
        parameters: All that decides the files; a copy of other parameters is never continued.
        complete: Whether every image has been tried.
        files: By their paths in the copy; those of a run that was stopped are not in it.
        unreadable: Why an image has no copy, by its path in the input.
    """

    parameters: dict[str, Any]
    complete: bool = False
    files: dict[str, FileRecord] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def write(self, out: Path) -> None:
        """Store it in ``out``, the same bytes in whatever order the files were made."""
        content = {
            **vars(self),
            "files": dict(sorted(self.files.items())),
            "unreadable": dict(sorted(self.unreadable.items())),
        }
        atomic_write(out / MANIFEST, json.dumps(content, indent=1))


def read_manifest(out: Path) -> Manifest | None:
    """Return the manifest of a copy, or None where there is none.

    Raises:
        ValueError: The file of this name is not ours.
    """
    path = out / MANIFEST
    if not path.is_file():
        return None
    try:
        return Manifest(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not the manifest of a rainy copy") from error


def refuse_foreign(out: Path) -> None:
    """Raise a ValueError if ``out`` holds anything but a copy; write nothing."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"{out} is a file: choose another folder for the copy")
    foreign = {path.name for path in out.iterdir()} - OWN_FILES
    if read_manifest(out) is None and foreign:
        raise ValueError(
            f"{out} is not empty ({min(foreign)}) and was not made by this command: choose another"
        )


def open_manifest(out: Path, parameters: Mapping[str, Any]) -> Manifest:
    """Mark ``out`` as a copy with these parameters, or return its manifest if it is one.

    Raises:
        ValueError: ``out`` is a copy with others; the message names them.
    """
    wanted = json.loads(json.dumps(parameters))
    manifest = read_manifest(out)
    if manifest is None:
        manifest = Manifest(wanted)
        manifest.write(out)
    differences = list(_differences(manifest.parameters, wanted))
    if differences:
        raise ValueError(
            f"{out} is a copy with other parameters: {'; '.join(differences)}. "
            "Choose another folder, or delete this one"
        )
    return manifest


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if old == new:
            continue
        # The table of severities would fill the screen.
        is_table = isinstance(old, dict) or isinstance(new, dict)
        yield key if is_table else f"{key} was {old!r}, now {new!r}"
