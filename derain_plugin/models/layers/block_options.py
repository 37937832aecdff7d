"""Options that the blocks which refine a narrow map have in common."""


def check_block_options(num_residual_blocks: int, reduction: int) -> None:
    """Refuse what is no count.

    Raises:
        ValueError: ``num_residual_blocks`` is negative, or ``reduction`` below 1.
    """
    if num_residual_blocks < 0:
        raise ValueError(f"num_residual_blocks must be 0 or more, got {num_residual_blocks}")
    if reduction < 1:
        raise ValueError(f"reduction must be 1 or more, got {reduction}")
