"""Processes of their own that import nothing anew: importing takes longer than most tests."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from mmdet.visualization import DetLocalVisualizer


def start_forked(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Start ``target(*arguments)`` in a copy of this process."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run, args=(target, *arguments))
    process.start()
    return process


def run_forked(target: Callable[..., Any], *arguments: Any) -> None:
    """Run ``target(*arguments)`` in a copy of this process, and wait until it has succeeded."""
    process = start_forked(target, *arguments)
    process.join()
    assert process.exitcode == 0


def run_ranks(world_size: int, target: Callable[..., Any], *arguments: Any) -> None:
    """Run ``target(rank, *arguments)`` in one copy per rank; if one fails, all are ended."""
    torch.multiprocessing.start_processes(
        _run_rank, (target, *arguments), nprocs=world_size, start_method="fork"
    )


def _run_rank(rank: int, target: Callable[..., Any], *arguments: Any) -> None:
    _run(target, rank, *arguments)


def _run(target: Callable[..., Any], *arguments: Any) -> None:
    torch.set_num_threads(1)  # a pool of threads that an earlier test used is not copied
    DetLocalVisualizer._instance_dict.clear()  # it would log to the folder of an earlier test
    target(*arguments)
