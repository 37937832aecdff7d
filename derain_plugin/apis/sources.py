"""The images and videos that a user names: files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from derain_plugin.rain.images import EXTENSIONS, files_below, hint_at

_COMMON = (".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".flv")
_MPEG = (".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts")
_RARE = (".asf", ".divx", ".f4v", ".mxf", ".ogv", ".h264", ".264", ".hevc", ".h265", ".mjpeg")
VIDEO_EXTENSIONS = frozenset((*_COMMON, *_MPEG, *_RARE))
_KNOWN = (*sorted(EXTENSIONS), *sorted(VIDEO_EXTENSIONS))  # in the order of messages


@dataclass(frozen=True)
class Source:
    """An image or a video, and the file to make of it.

    Attributes:
        path: The file, spelled as the user did.
        out: Where its annotated version goes: a path of its own.
    """

    path: Path
    out: Path

    @property
    def is_video(self) -> bool:
        """Whether its name says that it is a video."""
        return self.path.suffix.lower() in VIDEO_EXTENSIONS


def find_sources(inputs: Sequence[str], out_dir: Path) -> list[Source]:
    """Find the files that ``inputs`` mean, each once, in the order of ``inputs`` and of names.

    Annotated files keep their names, in folders also their sub-folders; videos become ``.mp4``,
    and images of formats that OpenCV cannot write ``.jpg``. Where two would get the same name,
    the second is ``name_2``. What lies in ``out_dir`` is no input of a folder or glob.

    Args:
        inputs: Files; folders, searched with their sub-folders; globs, ``**`` included.
        out_dir: Where the annotated files go.

    Raises:
        FileNotFoundError: An input is nothing that exists.
        ValueError: An input is neither image nor video, holds none, or would be overwritten.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for text in inputs:
        for path, name in _expand(text, out_dir):
            found.setdefault(path.resolve(), (path, name))
    taken: set[str] = set()
    sources = [Source(path, out_dir / _name_out(name, taken)) for path, name in found.values()]
    for source in sources:
        if source.out.resolve() in found:
            raise ValueError(
                f"{source.path}: its annotated version would overwrite the input {source.out}: "
                "choose another output folder"
            )
    return sources


def _expand(text: str, out_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files of one input, and the names that they have in it."""
    path = Path(text)
    if path.is_file():
        if not path.name.lower().endswith(_KNOWN):
            raise ValueError(
                f"{text} is neither an image nor a video by its name: expected {', '.join(_KNOWN)}"
            )
        yield path, Path(path.name)
        return
    if path.is_dir():
        files = [(path / name, Path(name)) for name in files_below(path, _KNOWN)]
    else:
        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
        if not matches:
            hint = hint_at(str(path.parent), path.name)
            raise FileNotFoundError(f"{text} is no file or folder, and no file matches it{hint}")
        files = [(match, Path(match.name)) for match in matches if match.is_file()]
        files = [pair for pair in files if pair[0].name.lower().endswith(_KNOWN)]
    files = [pair for pair in files if out_dir.resolve() not in pair[0].resolve().parents]
    if not files:
        raise ValueError(f"{text} holds no image and no video ({', '.join(_KNOWN)})")
    yield from files


def _name_out(name: Path, taken: set[str]) -> Path:
    suffix = name.suffix
    if suffix.lower() in VIDEO_EXTENSIONS:
        suffix = ".mp4"
    elif not cv2.haveImageWriter(name.name):
        suffix = ".jpg"
    wanted = name.with_suffix(suffix)
    number = 1
    while str(wanted).lower() in taken:  # lower: some file systems know no difference
        number += 1
        wanted = name.with_name(f"{name.stem}_{number}{suffix}")
    taken.add(str(wanted).lower())
    return wanted
