"""Detections on images and videos: the command line of ``tools/infer.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.arguments import (
    add_adapter,
    add_cfg_options,
    parse_cfg_options,
    usable_device,
)
from derain_plugin.cli.work import working

if TYPE_CHECKING:
    from derain_plugin.apis import BasePredictor, Session

DESCRIPTION = """\
Paint what a detector finds into copies of images and videos. The images are taken as they are:
no rain is rendered. Any mmdet detector will do, and hf:// checkpoints. A file of tools/export.py,
.onnx or .xml, takes the place of config and checkpoint; it runs on the CPU.
"""
EPILOG = """\
Files that cannot be read or written, and frames that cannot be decoded, are reported and skipped.
Times are those of the frames' timestamps, also in videos of variable rate. Ctrl-C
leaves whole files: those that were finished, the video at hand up to there, and --json for them.
Images under 320 px are enlarged by a whole factor, to leave room for the labels.

Exit codes: 0 something was annotated; 1 nothing could be read, or an error; 2 wrong options;
130 stopped.

Examples:
  python tools/infer.py configs/rtdetr_r18_coco.py hf://PekingU/rtdetr_r18vd street.jpg \\
      --out-dir seen
  python tools/infer.py configs/rtdetr_r18_featderain_ms.py epoch_15.pth "rain/**/*.png" \\
      drive.mp4 --out-dir seen --start 10 --end 20 --classes car person --json seen/found.json \\
      --masks --compare configs/rtdetr_r18_coco.py hf://PekingU/rtdetr_r18vd
  python tools/infer.py derained.xml street.jpg --out-dir seen
"""
EXPORTED = (".onnx", ".xml")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to detect in, with what, and where to write."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "config", help="config file, of ours or of mmdet; or an exported file, without checkpoint"
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="[checkpoint] input",
        help="checkpoint: a file, or hf:// with a hub id or a save_pretrained folder; input: "
        "image, video, folder (with its sub-folders) or quoted glob",
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        required=True,
        help="folder for the annotated files, which keep their names; videos become .mp4, and "
        "the second street.jpg is street_2.jpg",
    )
    parser.add_argument("--overwrite", action="store_true", help="files there may be replaced")
    parser.add_argument(
        "--masks",
        action="store_true",
        help="also show where the de-rain neck sees rain, at each stride; each panel has up to "
        "640 px",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar=("CONFIG", "CHECKPOINT"),
        help="another detector, beside the first under its config's name; with --masks below it; "
        "an exported file has no CHECKPOINT",
    )
    parser.add_argument(
        "--score-thr", type=float, default=0.4, help="least score, 0-1; default %(default)s"
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="NAME", help="only these, such as: car person"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the detections of the first detector that are shown in COCO's format, in "
        "pixels of the inputs, with frame_index and seconds of frames",
    )
    parser.add_argument(
        "--start", type=float, metavar="SECONDS", help="of videos, from their first frame"
    )
    parser.add_argument("--end", type=float, metavar="SECONDS", help="of videos")
    parser.add_argument("--device", help="such as cpu or cuda:1; default the best that is there")
    add_adapter(parser)
    add_cfg_options(parser)
    args = parser.parse_intermixed_args(arguments)
    _take_models(parser, args)
    if not 0 <= args.score_thr <= 1:
        parser.error(f"--score-thr must be in 0-1, got {args.score_thr:g}")
    if args.start is not None and args.end is not None and args.end <= args.start:
        parser.error(f"--end must be after --start, got {args.start:g} to {args.end:g}")
    args.device = usable_device(parser, args.device)
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def _take_models(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Set ``models``, the detectors' files; what follows them are inputs."""
    first, args.inputs = _split_model([args.config, *args.inputs])
    args.models = [first]
    if args.compare:
        second, more = _split_model(args.compare)
        if len(second) < 2 and not _is_exported(second[0]):
            parser.error("--compare needs a config and its checkpoint, or an exported file")
        args.models.append(second)
        args.inputs += more
    if args.adapter and _is_exported(args.models[0][0]):
        parser.error(f"--adapter goes with a config and a checkpoint, got {args.models[0][0]}")
    if not args.inputs:
        parser.error("name images, videos, folders or globs after config and checkpoint")


def _split_model(words: list[str]) -> tuple[list[str], list[str]]:
    count = 1 if _is_exported(words[0]) else 2
    return words[:count], words[count:]


def _is_exported(path: str) -> bool:
    # As derain_plugin.apis.is_exported, which takes long to load.
    return Path(path).suffix.lower() in EXPORTED


def main(arguments: Sequence[str] | None = None) -> None:
    """Annotate what the command line names."""
    args = parse_args(arguments)
    with working():
        _infer(args)


def _infer(args: argparse.Namespace) -> None:
    from derain_plugin.apis import Annotator, CocoDetections, Session, find_sources
    from derain_plugin.cli.machine import describe_machine

    try:
        if args.out_dir.is_file():
            raise ValueError(f"--out-dir {args.out_dir} is a file: name a folder")
        sources = find_sources(args.inputs, args.out_dir)
        if not args.overwrite:
            _refuse_existing([source.out for source in sources] + [args.json] * bool(args.json))
        if (args.start, args.end) != (None, None) and not any(s.is_video for s in sources):
            raise ValueError("--start and --end are for videos, and there is none")
        annotator = Annotator(_detectors(args), score_thr=args.score_thr, classes=args.classes)
        config, checkpoint = [*args.models[0], None][:2]
        info = dict(config=config, checkpoint=checkpoint, score_thr=args.score_thr)
        detections = CocoDetections(annotator.detectors[0].classes, info=info | describe_machine())
        session = Session(annotator, detections)
        is_stopped = _run(session, sources, args)
        if args.json is not None:
            detections.write(args.json)
            print(args.json)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")
    _conclude(session, args.out_dir, is_stopped=is_stopped)


def _refuse_existing(paths: Sequence[Path]) -> None:
    existing = [path for path in paths if path.exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise ValueError(
            f"{existing[0]}{more} exist already: choose another folder or name, or --overwrite"
        )


def _detectors(args: argparse.Namespace) -> list[BasePredictor]:
    adapters = [args.adapter, None]  # the other one is what it is compared with
    detectors = [
        _detector(files, name, args, adapter)
        for files, name, adapter in zip(args.models, titles(args.models), adapters, strict=False)
    ]
    if args.masks:
        _record_masks(detectors)
    return detectors


def _detector(
    files: Sequence[str], name: str, args: argparse.Namespace, adapter: str | None
) -> BasePredictor:
    from derain_plugin.apis import Detector, ExportedDetector

    if _is_exported(files[0]):
        return ExportedDetector(files[0], name=name)
    config, checkpoint = files
    return Detector(
        config, checkpoint, name=name, device=args.device, cfg_options=args.cfg_options,
        adapter=adapter,
    )  # fmt: skip


def titles(models: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of configs and exported files.

    Two of the same name are told apart by their checkpoints or suffixes.
    """
    names = [Path(files[0]).stem for files in models]
    if len(set(names)) == len(names):
        return names
    return [f"{name}, {Path(files[-1]).name}" for name, files in zip(names, models, strict=True)]


def _record_masks(detectors: Sequence[BasePredictor]) -> None:
    """Of those that have some: the other may be the plain detector to compare with."""
    errors = []
    for detector in detectors:
        try:
            detector.record_masks()
        except ValueError as error:
            errors.append(error)
    if len(errors) == len(detectors):
        raise ValueError(f"--masks: {errors[0]}")


def _run(session: Session, sources: Sequence, args: argparse.Namespace) -> bool:
    """Return whether Ctrl-C has stopped it."""
    try:
        session.run(sources, window=(args.start, args.end))
    except KeyboardInterrupt:
        return True
    return False


def _conclude(session: Session, out_dir: Path, *, is_stopped: bool) -> None:
    print(
        f"{out_dir}: {session.num_images} images and {session.num_frames} frames annotated; "
        f"skipped {session.num_broken_files} files and {session.num_broken_frames} frames"
    )
    if is_stopped:
        print("stopped before the end", file=sys.stderr)
        sys.exit(130)
    if not session.num_images + session.num_frames:
        sys.exit("error: nothing could be read")
