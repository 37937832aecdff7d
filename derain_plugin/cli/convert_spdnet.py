"""Convert SPDNet's official weights: the command line of ``tools/convert_spdnet.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from derain_plugin.cli.work import working
from derain_plugin.files import atomic_write

if TYPE_CHECKING:
    import torch

DESCRIPTION = """\
Turn a checkpoint of SPDNet's authors into one for our SPDNet, which mmengine loads as any other.
Names and shapes must be exactly theirs. The weights that their code holds but never uses are left
out and listed by module.
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
    parser.add_argument("official", help="checkpoint of the authors: 930 tensors")
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
    from derain_plugin.models.restorers.spdnet_checkpoint import convert_spdnet

    try:
        state_dict = convert_spdnet(load_from_local(args.official))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{args.official}: {error}")
    content = BytesIO()
    torch.save(dict(meta=dict(source=Path(args.official).name), state_dict=state_dict), content)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, content.getvalue())
    print(_summary(args.out, state_dict))


def _summary(out: Path, state_dict: dict[str, torch.Tensor]) -> str:
    from derain_plugin.models.restorers.spdnet_checkpoint import official_names

    dropped = [theirs for theirs, ours in official_names().items() if ours is None]
    modules = dict.fromkeys(name.rpartition(".")[0] for name in dropped)
    return "\n".join(
        [
            f"{len(dropped)} unused tensors dropped: {', '.join(modules)}",
            f"{out}: {len(state_dict)} tensors, "
            f"{sum(tensor.numel() for tensor in state_dict.values()):,} parameters",
        ]
    )
