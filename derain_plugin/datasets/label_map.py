"""What each label means: one list of class names for datasets, detector and checkpoint of a run.

Labels have no names of their own. :class:`AnnotationFile` maps them to the categories of a file by
name; here the names of the config's datasets, its heads and a checkpoint are compared.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.logging import print_log
from torch import Tensor, nn

from derain_plugin.datasets.labels.classes import COCO_NAMES, match_classes
from derain_plugin.models.loading import keys_of_other_shape

Names = tuple[str, ...]


def datasets_in(node: Any, in_mix: bool = False) -> Iterator[tuple[Mapping, bool]]:
    """Give the config of each dataset with an annotation file, and whether a mix holds it."""
    if isinstance(node, Mapping):
        if "ann_file" in node:
            yield node, in_mix
            return
        in_mix = in_mix or node.get("type") == "RainMixDataset"
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in node:
        yield from datasets_in(child, in_mix)


def type_of(dataset: Mapping) -> type:
    """Return the type of a dataset's config, where it is registered, else ``object``."""
    kind = dataset.get("type")
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return kind if isinstance(kind, type) else object


def classes_of(dataset: Mapping) -> Names | None:
    """Return the classes of a dataset's config, or those of its type; None without any.

    Raises:
        ValueError: They are a text and no list, a name is there twice, or they are spelled as in
            mmdet 2.
    """
    metainfo = dataset.get("metainfo") or {}
    if "CLASSES" in metainfo:
        raise ValueError(
            f"metainfo of {dataset.get('ann_file')} has CLASSES, which mmdet 3 does not read, so "
            "that it would take the names of the dataset's type: write classes"
        )
    names = metainfo.get("classes")
    names = names or getattr(type_of(dataset), "METAINFO", {}).get("classes")
    if names is None:
        return None
    if isinstance(names, str):
        raise ValueError(f"classes must be a list of names, got the text {names!r}: ({names!r},)")
    if len(set(names)) < len(names):
        raise ValueError(f"classes must be distinct, got {list(names)}")
    return tuple(names)


def configured_classes(cfg: Mapping, loaders: Sequence[str]) -> Names | None:
    """Return the classes that all datasets of the data loaders have; None without any.

    Raises:
        ValueError: Two datasets, or a dataset and a head of the detector, have other classes.
    """
    found = [(d, classes_of(d)) for d, _ in datasets_in([cfg.get(name) for name in loaders])]
    known = [(d["ann_file"], names) for d, names in found if names is not None]
    if not known:
        return None
    first_file, first = known[0]
    for file, names in known:
        if names != first:
            raise ValueError(
                f"the dataset of {first_file} has the classes {listed(first)}, that of {file} "
                f"{listed(names)}: label 0 would mean two things. {advice(first)}"
            )
    for count in head_sizes(cfg.get("model")):
        if count != len(first):
            raise ValueError(
                f"the detector's head has num_classes={count}, but the dataset of {first_file} "
                f"the {len(first)} classes {listed(first)}. Set `classes` to the {count} names "
                "that the detector is for (--cfg-options classes=car,person), or num_classes"
            )
    return first


def named_classes(model: Mapping, dataset: Mapping) -> Names | None:
    """Return the classes of a dataset, or None where a head says that they are only its type's."""
    names = classes_of(dataset)
    is_default = not (dataset.get("metainfo") or {}).get("classes")
    if names and is_default and any(count != len(names) for count in head_sizes(model)):
        return None
    return names


def head_sizes(model: Any, in_head: bool = False) -> Iterator[int]:
    """Give each ``num_classes`` of the box heads in a model's config."""
    if isinstance(model, Mapping):
        if in_head and isinstance(model.get("num_classes"), int):
            yield model["num_classes"]
        for key, part in model.items():
            yield from head_sizes(part, in_head or key == "bbox_head")
    elif isinstance(model, list | tuple):
        for part in model:
            yield from head_sizes(part, in_head)


def saved_classes(checkpoint: Mapping) -> Names | None:
    """Return the class names of a checkpoint; None where it has none, or transformers' LABEL_0."""
    meta = checkpoint.get("meta") or {}
    info = meta.get("dataset_meta", meta)  # mmdet 2 had the names in it directly, as CLASSES
    info = info[0] if isinstance(info, list | tuple) and info else info
    if not isinstance(info, Mapping):
        return None
    names = {str(key).lower(): value for key, value in info.items()}.get("classes")
    if not names:
        return None
    names = (names,) if isinstance(names, str) else names
    names = tuple(str(name).strip() for name in names)
    return None if names == tuple(f"LABEL_{i}" for i in range(len(names))) else coco_spelled(names)


def coco_spelled(names: Names) -> Names:
    """Transformers' checkpoints have VOC's words, sofa for couch, mmdet's list underscores."""
    try:
        matched = match_classes(names, overrides={}, ignored=())
    except ValueError:
        return names
    spelled = tuple(str(matched[name]) for name in names)
    return spelled if spelled == COCO_NAMES else names


def are_same(names: Names, others: Names) -> bool:
    """Say whether two lists name the same classes in the same order, in whatever case."""
    keys = ([name.casefold() for name in coco_spelled(some)] for some in (names, others))
    return next(keys) == next(keys)


def require_same_classes(
    checkpoint: Mapping, wanted: Names | None, model: nn.Module, *, source: str
) -> None:
    """Refuse a checkpoint whose labels, or number of them, are not those of the config.

    Args:
        checkpoint: As mmengine loads it.
        wanted: The config's classes; None where it names none.
        model: What it is for.
        source: Where it is from, for the message.

    Raises:
        ValueError: The names or the class layers differ.
    """
    saved = saved_classes(checkpoint)
    _warn_of_labels_by_file(checkpoint, saved, source)
    if saved and wanted and not are_same(saved, wanted):
        raise ValueError(
            f"{source} was trained on the classes {listed(saved)}, but the config has "
            f"{listed(wanted)}. {advice(saved)}"
        )
    if other := _class_layers_of_other_shape(model, checkpoint):
        trained = f"on the classes {listed(saved)}" if saved else "on another number of classes"
        raise ValueError(
            f"{source} was trained {trained} than the config's: it has {other[0]} in another "
            f"shape. {advice(saved) if saved else 'Give the classes=... that it was trained on'}"
        )


def _warn_of_labels_by_file(checkpoint: Mapping, saved: Names | None, source: str) -> None:
    """Say where names may be exchanged: mmdet's dataset gives no names to labels, but to ids."""
    config = str((checkpoint.get("meta") or {}).get("cfg", ""))
    is_by_file = "CocoDataset" in config and "NamedCocoDataset" not in config
    if is_by_file and saved and len(saved) > 1 and saved != COCO_NAMES:
        print_log(
            f"{source} was trained with labels in the order of its annotation file, by mmdet's "
            f"CocoDataset: the names {listed(saved)} are right if the file has that order, too; "
            "else see docs/faq.md",
            logger="current",
            level=logging.WARNING,
        )


def start_class_layers_anew(
    checkpoint: Mapping, wanted: Names | None, model: nn.Module, settings: Mapping
) -> None:
    """Give a checkpoint that a training starts from the model's own class layers, if it must.

    So a label never begins with what another class has learned. Layers of another shape are left
    to mmengine and :class:`RTDETRHead`, which skip them.

    Args:
        checkpoint: As mmengine loads it; changed in place where its names are not ``wanted``.
        wanted: The config's classes; None where it names none.
        model: What it is for.
        settings: The model's config.
    """
    saved = saved_classes(checkpoint)
    if not saved or not wanted or are_same(saved, wanted):
        return
    weights, fresh = checkpoint.get("state_dict", checkpoint), model.state_dict()
    for key in class_layers(settings):
        for name in (key, f"module.{key}"):
            if name in weights and key in fresh and weights[name].shape == fresh[key].shape:
                weights[name] = fresh[key].clone()
    print_log(
        f"The checkpoint's classes are {listed(saved)}, the config's {listed(wanted)}: the "
        "class layers start anew",
        logger="current",
    )


def class_layers(settings: Mapping) -> list[str]:
    """Return the keys of the weights whose shape follows from the number of classes."""
    larger = copy.deepcopy(dict(settings))
    _add_a_class(larger)
    with torch.random.fork_rng(devices=[]):
        one, other = (MODELS.build(copy.deepcopy(cfg)).state_dict() for cfg in (settings, larger))
    return keys_of_other_shape(one, other)


def _add_a_class(node: Any, in_head: bool = False) -> None:
    if isinstance(node, list | tuple):
        for part in node:
            _add_a_class(part, in_head)
    elif isinstance(node, dict):
        if in_head and isinstance(node.get("num_classes"), int):
            node["num_classes"] += 1
        for key, part in node.items():
            _add_a_class(part, in_head or key == "bbox_head")


def _class_layers_of_other_shape(model: nn.Module, checkpoint: Mapping) -> list[str]:
    """Return them, unless other weights differ, too: then it is another architecture."""
    weights: dict[str, Tensor] = {
        key.removeprefix("module."): value
        for key, value in checkpoint.get("state_dict", checkpoint).items()
        if isinstance(value, Tensor)
    }
    parameters = dict(model.named_parameters())
    other = keys_of_other_shape(parameters, weights)
    return other if all("head" in key or "label" in key for key in other) else []


def listed(names: Names) -> str:
    """Name classes in a message; COCO's 80 by that name."""
    return "80 of COCO" if names == COCO_NAMES else f"({', '.join(names)})"


def advice(names: Names) -> str:
    """Say how to give the config these classes."""
    if names == COCO_NAMES:
        return "Leave classes=... out: the default is COCO's 80"
    option = f"classes={','.join(names)}"
    quoted = f'"{option}"' if " " in option else option
    return (
        f"Give --cfg-options {quoted}, or where a config has no such setting, metainfo.classes of "
        f"its datasets and num_classes={len(names)} of its heads"
    )
