"""Randomness that follows from what a resumed run knows: its seed and the epoch."""

import logging
from typing import Any

import numpy as np
import torch
from mmdet.registry import HOOKS
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner, set_random_seed


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Let every draw of an epoch follow from the run's seed and the epoch.

    mmengine's checkpoints hold no state of random generators, so a resumed run would draw
    other numbers than an uninterrupted one. Before each epoch this hook

    - tells the training dataset the run's seed (``set_run_seed``) and the epoch
      (``set_epoch``), also inside mmengine's and mmdet's wrappers: see ``RainMixDataset``;
    - gives both to the sampler, so the order of the images follows from them alone. A seed
      in the sampler's own config is overruled;
    - seeds Python's, NumPy's and torch's global generators (CUDA included) with
      (seed, epoch, rank): denoising queries, dropout.

    Takes the place of mmengine's ``DistSamplerSeedHook`` as ``default_hooks.sampler_seed``.
    A dataset without ``set_run_seed`` that augments in worker processes stays as mmengine
    leaves it: its workers are seeded when they start, alike at every start.

    Iteration-based loops have no epochs and are left alone, with a warning.

    Args:
        epoch_offset: Added to ``runner.epoch``. With ``epoch_offset=5`` the first epoch has
            the images, order, rain, augmentations and noise of epoch 6 of another run
            with the same seeds: a control for its second phase.

    Raises:
        ValueError: ``epoch_offset`` is no integer or negative.
    """

    # After DistSamplerSeedHook, in case a config has both.
    priority = "BELOW_NORMAL"

    def __init__(self, epoch_offset: int = 0) -> None:
        if not isinstance(epoch_offset, int) or epoch_offset < 0:
            raise ValueError(f"epoch_offset must be an integer >= 0, got {epoch_offset!r}")
        self.epoch_offset = epoch_offset
        self._shared_seed = 0

    def before_train(self, runner: Runner) -> None:
        """Agree on a seed with the other ranks; warn when the loop has no epochs."""
        seeds = [runner.seed]  # after a resume the checkpoint's; another per rank if so configured
        broadcast_object_list(seeds)
        self._shared_seed = seeds[0]
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            print_log(
                "EpochSeedHook: an iteration-based loop is one single epoch, so what the dataset "
                "draws per epoch never changes and a resumed run draws anew; "
                "use EpochBasedTrainLoop",
                logger="current",
                level=logging.WARNING,
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed whatever draws in this epoch."""
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            return
        # The loop has not asked for an iterator yet: workers prefetch nothing of an old draw.
        epoch = runner.epoch + self.epoch_offset
        dataloader = runner.train_loop.dataloader
        _tell(dataloader.dataset, self._shared_seed, epoch)
        # With a batch sampler, DataLoader.sampler is a placeholder.
        samplers: list[Any] = [
            dataloader.sampler,
            getattr(dataloader.batch_sampler, "sampler", None),
        ]
        for sampler in samplers:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
                sampler.seed = self._shared_seed
        entropy = np.random.SeedSequence([runner.seed, epoch, runner.rank])
        seed = int(entropy.generate_state(1)[0])
        set_random_seed(seed)
        # A new iterator draws from this generator, or else from the global one, which workers
        # that outlive an epoch would then leave in another state than newly started ones.
        dataloader.generator = torch.Generator().manual_seed(seed)


def _tell(dataset: Any, seed: int, epoch: int) -> None:
    if hasattr(dataset, "set_run_seed"):
        dataset.set_run_seed(seed)
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(epoch)
        return
    children = [dataset.dataset] if hasattr(dataset, "dataset") else []
    for child in children + list(getattr(dataset, "datasets", [])):
        _tell(child, seed, epoch)
