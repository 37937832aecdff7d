"""Convert weights for our SPDNet: the command line of ``tools/convert_spdnet.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    import torch

DESCRIPTION = """\
Turn a checkpoint of SPDNet's authors into one for our SPDNet, which mmengine loads as any other.
Names and shapes must be exactly theirs. The weights that their code holds but never uses are left
out and listed by module.

Checkpoints with an SPDNet that was trained here while it joined features oldest first are brought
to the order of the authors, and restore as before. They are to start from, not to resume.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to read and where to write."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog="Example:\n"
        "  python tools/convert_spdnet.py official.pt spdnet.pth\n"
        "and then in a config: restorer=dict(type='SPDNet', "
        "init_cfg=dict(type='Pretrained', checkpoint='spdnet.pth'))",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint", help="of the authors: 930 tensors; or one from here in the old order"
    )
    parser.add_argument("out", type=Path, help="file to write; an existing one is refused")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert as the command line says."""
    args = parse_args(arguments)
    if args.out.exists():
        sys.exit(f"{args.out} exists. Remove it, or name another file.")
    with working():
        _convert(args)


def _convert(args: argparse.Namespace) -> None:
    import torch

    from derain_plugin.engine.safety.checkpoint import load_from_local

    try:
        converted, said = _converted(load_from_local(args.checkpoint), args.checkpoint)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{args.checkpoint}: {error}")
    content = BytesIO()
    torch.save(converted, content)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, content.getvalue())
    print(f"{said}\n{args.out}: {_summary(converted['state_dict'])}")


def _converted(checkpoint: dict[str, Any], source: str) -> tuple[dict[str, Any], str]:
    from derain_plugin.models.restorers import spdnet_checkpoint as layouts

    if not layouts.is_oldest_first(checkpoint):
        state_dict = layouts.convert_spdnet(checkpoint)
        return dict(meta=dict(source=Path(source).name), state_dict=state_dict), _dropped()
    of_authors = layouts.is_of_authors(checkpoint)
    said = (
        "The authors' weights in the old layout: they now restore as theirs do"
        if of_authors
        else "Weights trained here in the old order: they restore as before at even sizes; at odd "
        "ones, which the authors' network crops elsewhere, images differ by a few per cent. "
        "Nothing to resume from is kept: give the file as load_from"
    )
    return layouts.convert_oldest_first(checkpoint), said


def _dropped() -> str:
    from derain_plugin.models.restorers.spdnet_checkpoint import official_names

    dropped = [theirs for theirs, ours in official_names().items() if ours is None]
    modules = dict.fromkeys(name.rpartition(".")[0] for name in dropped)
    return f"{len(dropped)} unused tensors dropped: {', '.join(modules)}"


def _summary(state_dict: dict[str, torch.Tensor]) -> str:
    numbers = sum(tensor.numel() for tensor in state_dict.values())
    return f"{len(state_dict)} tensors, {numbers:,} parameters"
