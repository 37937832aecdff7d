"""Re-estimate BatchNorm's running statistics: the command line of ``tools/recalibrate_bn.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derain_plugin.cli.arguments import build_parser, config_from, parse_cfg_options
from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm

DESCRIPTION = """\
Adapt a detector to rain without training: re-estimate the running mean and variance of every
BatchNorm layer, frozen stages included, on the config's training images, rainy and clean as it
mixes them (AdaBN, Li et al. 2016, arXiv 1603.04779). Each statistic is the plain average over all
batches. Nothing else changes, not a bit. The same command writes the same weights.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to adapt, on what, and where to write."""
    parser = build_parser(
        DESCRIPTION,
        "python tools/recalibrate_bn.py configs/rtdetr_r18_finetune_mix.py vanilla.pth "
        "--out recalibrated.pth\nand then\n"
        "  python tools/test.py configs/rtdetr_r18_finetune_mix.py recalibrated.pth",
    )
    parser.add_argument(
        "checkpoint", help="a file, or hf:// with a hub id or a save_pretrained folder"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file to write; an existing one is refused"
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=1,
        help="passes over the images, each with others of them rainy",
    )
    args = parser.parse_args(arguments)
    if args.epochs < 1:
        parser.error(f"--epochs must be 1 or more, got {args.epochs}")
    if args.launcher != "none":
        parser.error("statistics are averaged in one process: leave --launcher out")
    args.cfg_options = parse_cfg_options(args.cfg_options)
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Recalibrate as the command line says."""
    args = parse_args(arguments)
    if args.out.exists():
        sys.exit(f"{args.out} exists. Remove it, or name another file.")
    with working():
        _recalibrate(args)


def _recalibrate(args: argparse.Namespace) -> None:
    from mmengine.runner import Runner, load_checkpoint

    from derain_plugin.datasets.checks.coco_check import check_datasets
    from derain_plugin.datasets.label_map import configured_classes, require_same_classes

    cfg = config_from(args)
    cfg.setdefault("randomness", dict(seed=0))
    cfg.load_from = None
    check_datasets(cfg, ("train_dataloader",))
    runner = Runner.from_cfg(cfg)
    # Not the runner's: that asks hooks which a training has not prepared, such as EMAHook.
    classes = configured_classes(cfg, ("train_dataloader",))
    try:
        checkpoint = load_checkpoint(runner.model, args.checkpoint, map_location="cpu")
        refuse_folded(runner.model)
        require_same_classes(checkpoint, classes, runner.model, source=args.checkpoint)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{args.checkpoint}: {error}")
    try:
        num_layers = recalibrate(runner.model, _batches(runner, args.epochs))
    except ValueError as error:
        sys.exit(f"{args.config}: {error}")
    _write(args.out, runner.model, dict(checkpoint.get("meta", {}), recalibrated_bn=args.epochs))
    print(f"\n{args.out}: statistics of {num_layers} BatchNorm layers")


def refuse_folded(detector: nn.Module) -> None:
    """Refuse a detector whose BatchNorm was folded into its convolutions.

    Its convolutions give other values than those they were trained to give, so that statistics of
    them shift what the layers hand on: the detector finds nothing any more. Untrained layers
    have such statistics, too, but their biases are zero; those of folded ones hold what was left
    of the statistics.

    Raises:
        ValueError: All running means are 0 and all variances 1, and biases are not.
    """
    norms = _layers(detector)
    if all(map(_is_trivial, norms.values())) and any(
        norm.bias is not None and norm.bias.any() for norm in norms.values()
    ):
        raise ValueError(
            f"BatchNorm was folded into the convolutions: running_mean is 0 and running_var 1 in "
            f"all {len(norms)} layers, such as {next(iter(norms))}. New statistics would ruin this "
            "detector; take the checkpoint from before the folding, or train a de-rain neck"
        )


def _is_trivial(norm: Any) -> bool:
    # Some converters write 1 - eps, so that the layer is the exact identity.
    mean, variance = norm.running_mean, norm.running_var
    return not mean.any() and bool(((variance - 1).abs() <= 2 * norm.eps).all())


def recalibrate(detector: Any, batches: Iterator[Any]) -> int:
    """Replace the running statistics by the averages over ``batches``.

    ``torch.optim.swa_utils.update_bn`` does not fit: it leaves layers of frozen stages reset but
    never measured, and lets dropout disturb what it measures.

    Args:
        detector: Of mmdet's interface; ends in eval mode.
        batches: Of its train data loader.

    Returns:
        The number of BatchNorm layers.

    Raises:
        ValueError: There are none, or the detector does not use some.
    """
    import torch

    norms = _layers(detector)
    momenta = {norm: norm.momentum for norm in norms.values()}
    detector.eval()
    for norm in momenta:
        norm.reset_running_stats()
        norm.momentum = None  # torch's way to ask for the cumulative average
        norm.train()
    with torch.no_grad():
        for batch in batches:
            detector(**detector.data_preprocessor(batch, training=True), mode="tensor")
    for norm, momentum in momenta.items():
        norm.momentum = momentum
        norm.eval()
    unused = [name for name, norm in norms.items() if not norm.num_batches_tracked]
    if unused:
        raise ValueError(f"the forward pass does not reach {', '.join(unused)}")
    return len(norms)


def _layers(detector: nn.Module) -> dict[str, _BatchNorm]:
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = {
        name: module
        for name, module in detector.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    }
    if not norms:
        raise ValueError(
            f"this {type(detector).__name__} has no BatchNorm layer whose statistics can change"
        )
    return norms


def _batches(runner: Runner, epochs: int) -> Iterator[Any]:
    """Give the batches of the run's first epochs, as training would draw them."""
    from mmengine.utils import track_iter_progress

    from derain_plugin.engine.hooks import EpochSeedHook

    for epoch in range(epochs):
        seeding = EpochSeedHook(epoch_offset=epoch)
        seeding.before_train(runner)
        seeding.before_train_epoch(runner)
        loader = runner.train_dataloader
        yield from track_iter_progress((loader, len(loader)))


def _write(out: Path, model: nn.Module, meta: dict[str, Any]) -> None:
    import torch

    content = BytesIO()
    torch.save(dict(meta=meta, state_dict=model.cpu().state_dict()), content)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, content.getvalue())
