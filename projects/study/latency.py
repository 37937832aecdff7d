"""Time of the study's detectors on one image: ``python -m projects.study.latency``."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from derain_plugin.cli.machine import ROOT, describe_machine
from derain_plugin.config import load_config
from derain_plugin.files import atomic_write
from projects.benchmark.resources import count_parameters
from projects.benchmark.setting import Setting
from projects.benchmark.timing import ROUNDS, times_in_turns
from projects.study.arms import ARMS

SECONDS = 60  # of timing for a network, beyond which it sits rounds out


@torch.inference_mode()
def measure_latency(configs: Mapping[str, Path], *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time detectors with random weights, in turns in one process.

    Arms of the same network are timed once, so that they cannot differ by noise.

    Args:
        configs: Config of each arm, by name, the vanilla detector's first.
        rounds: How often each network is timed.

    Returns:
        ``size`` of the image (px), and ``arms``: for each, by name, median ``ms`` per image
        and ``relative`` to the first.
    """
    loaded = {name: load_config(path) for name, path in configs.items()}
    detectors = {name: _build(cfg) for name, cfg in loaded.items()}
    network = {name: _network(detector) for name, detector in detectors.items()}
    distinct: dict[str, Any] = {}
    for name, detector in detectors.items():
        distinct.setdefault(network[name], detector)
    size = next(iter(loaded.values())).get("image_size", Setting.size)
    batch = Setting(size=size).draw_batch()
    runs = [[partial(detector.test_step, batch)] for detector in distinct.values()]
    times = times_in_turns(runs, rounds=rounds, seconds=SECONDS)
    ms = {text: statistics.median(found) for text, (found,) in zip(distinct, times, strict=True)}
    first = ms[next(iter(network.values()))]
    arms = {
        name: dict(ms=round(ms[text], 3), relative=round(ms[text] / first, 4))
        for name, text in network.items()
    }
    return dict(size=size, arms=arms)


def _build(cfg: Config) -> Any:
    init_default_scope(cfg.get("default_scope", "mmdet"))
    return MODELS.build(cfg.model).eval()


def _network(detector: Any) -> str:
    """Describe the parts that have parameters; a restorer is part of the data preprocessor."""
    parts = [*detector.data_preprocessor.children(), *detector.children()]
    parts.remove(detector.data_preprocessor)
    return repr([part for part in parts if count_parameters(part)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the arms that have a config, and write what was found."""
    parser = argparse.ArgumentParser(
        description="Time every arm's detector with random weights, in turns, on one image at a "
        "time; the report reads the result."
    )
    parser.add_argument("--family", default="study", help="prefix of the configs; default study")
    parser.add_argument(
        "--configs", type=Path, default=ROOT / "projects/study/configs/study", help="their folder"
    )
    parser.add_argument("--out", type=Path, required=True, help="json to write: latency.json")
    args = parser.parse_args(arguments)
    files = {arm.name: args.configs / f"{args.family}_{arm.config}.py" for arm in ARMS}
    there = {name: file for name, file in files.items() if file.is_file()}
    if not there:
        sys.exit(f"error: there is no config of an arm like {args.configs}/{args.family}_*.py")
    found = measure_latency(there)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, json.dumps(dict(found, **describe_machine()), indent=1) + "\n")
    print(args.out)


if __name__ == "__main__":
    main()
