"""Processes that render, and end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

import derain_command

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

WAITING_JOBS = 64
"""Jobs handed to a pool beforehand: 118,000 images must not all wait in memory."""


@contextmanager
def worker_pool(num_workers: int) -> Iterator[Executor]:
    """Give a pool of processes; on an error what has not begun is dropped."""
    pool = ProcessPoolExecutor(
        num_workers, initializer=derain_command.call, initargs=(__name__, prepare_worker.__name__)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def in_any_order(
    pool: Executor, function: Callable[[_Job], _Result], jobs: Iterable[_Job]
) -> Iterator[_Result]:
    """Yield ``function(job)`` for each job as it is done; an error of one ends it all."""
    jobs = iter(jobs)
    running = {pool.submit(function, job) for job in islice(jobs, WAITING_JOBS)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(function, job) for job in islice(jobs, len(done))}
        for future in done:
            yield future.result()


def prepare_worker() -> None:
    """Leave signals to the process that started this one, and end with it."""
    # Ctrl-C reaches all processes of a terminal: the first one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # 1 would wait for the threads that OpenCV had before the fork, for ever.
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone; the pool's own would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
