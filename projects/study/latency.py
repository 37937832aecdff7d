"""Time of the study's detectors on one image: ``python -m projects.study.latency``."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from derain_plugin.cli.machine import describe_machine
from derain_plugin.files import atomic_write
from projects.benchmark.resources import count_parameters
from projects.benchmark.setting import Setting
from projects.benchmark.timing import ROUNDS, times_in_turns
from projects.study.arm_configs import FAMILIES, arm_config
from projects.study.arms import ARMS

SECONDS = 60  # of timing for a network, beyond which it sits rounds out


@torch.inference_mode()
def measure_latency(configs: Mapping[str, Config], *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time detectors with random weights, in turns in one process.

    Arms of the same network are timed once, so that they cannot differ by noise.

    Args:
        configs: Config of each arm, by name, the vanilla detector's first.
        rounds: How often each network is timed.

    Returns:
        ``size`` of the image (px), and ``arms``: for each, by name, median ``ms`` per image
        and ``relative`` to the first.
    """
    detectors = {name: _build(cfg) for name, cfg in configs.items()}
    network = {name: _network(detector) for name, detector in detectors.items()}
    distinct: dict[str, Any] = {}
    for name, detector in detectors.items():
        distinct.setdefault(network[name], detector)
    size = next(iter(configs.values())).get("image_size", Setting.size)
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
    """Time the arms of a family, and write what was found."""
    parser = argparse.ArgumentParser(
        description="Time every arm's detector with random weights, in turns, on one image at a "
        "time; the report reads the result."
    )
    parser.add_argument("--family", choices=FAMILIES, default="study", help="default study")
    parser.add_argument("--out", type=Path, required=True, help="json to write: latency.json")
    args = parser.parse_args(arguments)
    found = measure_latency({arm.name: arm_config(args.family, arm.config) for arm in ARMS})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, json.dumps(dict(found, **describe_machine()), indent=1) + "\n")
    print(args.out)


if __name__ == "__main__":
    main()
