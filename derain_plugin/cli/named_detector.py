"""A detector of mmdet or of transformers, as a command line names it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from derain_plugin.files import sha256_of


class Loaded(NamedTuple):
    """A detector, as the command line names it.

    Attributes:
        model: mmdet's or transformers'.
        prepare: What makes a sample of an image.
        classes: Names by label.
        palette: Colours by label, or a name that mmdet knows.
        sha256: Of the checkpoint file, if it is one.
        source: Our :class:`Detector` around a model of mmdet, else None.
    """

    model: Any
    prepare: Any
    classes: Sequence[str]
    palette: Any
    sha256: str | None
    source: Any


def load_detector(args: argparse.Namespace) -> Loaded:
    """Load ``args.detector``, of mmdet or of transformers, onto ``args.device``."""
    return _load_mmdet(args) if len(args.detector) == 2 else _load_transformers(args)


def _load_mmdet(args: argparse.Namespace) -> Loaded:
    from derain_plugin.adapting.adapt import PipelineSample
    from derain_plugin.apis import Detector

    config, checkpoint = args.detector
    source = Detector(config, checkpoint, device=args.device, cfg_options=args.cfg_options)
    file = Path(checkpoint)
    source.model.dataset_meta = dict(classes=tuple(source.classes))  # as mmdet's init_detector
    return Loaded(
        source.model,
        PipelineSample(source.dataset["pipeline"]),
        source.classes,
        source.palette,
        sha256_of(file) if file.is_file() else None,
        source,
    )


def _load_transformers(args: argparse.Namespace) -> Loaded:
    from derain_plugin.hf.image_processor import load_processor
    from derain_plugin.hf.pretrained import load_pretrained

    (name,) = args.detector
    model: Any = load_pretrained(name).to(args.device)
    classes = [model.config.id2label[index] for index in sorted(model.config.id2label)]
    return Loaded(model, load_processor(name), classes, "random", None, None)
