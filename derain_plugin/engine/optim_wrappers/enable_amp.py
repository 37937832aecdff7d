"""What ``--amp`` does to a config."""

from mmengine.config import Config
from mmengine.device import get_device

SWITCHABLE = ("OptimWrapper", "AmpOptimWrapper", "BF16OptimWrapper")


def enable_amp(cfg: Config) -> None:
    """Turn on mixed precision for training, in place, in the kind that this machine can run.

    With a GPU (or NPU, MLU) that is mmengine's ``AmpOptimWrapper`` with dynamic loss scaling, as
    in mmdet's ``tools/train.py``; a wrapper that is mixed precision already stays as configured.
    On a CPU it is :class:`BF16OptimWrapper`.

    Args:
        cfg: A config with an ``optim_wrapper``.

    Raises:
        ValueError: If the wrapper is of another kind, or the device has no mixed precision.
    """
    wrapper = cfg.get("optim_wrapper")
    if wrapper is None:
        raise ValueError("--amp needs an optim_wrapper in the config, but there is none")
    kind = wrapper.get("type", "OptimWrapper")
    name = (kind if isinstance(kind, str) else kind.__name__).rsplit(".", 1)[-1]
    if name not in SWITCHABLE:
        raise ValueError(
            f"--amp cannot switch optim_wrapper.type={name!r} to mixed precision; it must be one "
            f"of {', '.join(SWITCHABLE)}. Change it, or run without --amp."
        )
    device = get_device()
    if device == "mps":
        raise ValueError("--amp works on CPU and CUDA, but the device is 'mps'. Run without --amp.")
    if device == "cpu":
        for option in ("loss_scale", "dtype", "use_fsdp"):
            wrapper.pop(option, None)
        wrapper.type = "mmdet.BF16OptimWrapper"
    elif name == "OptimWrapper":
        wrapper.type = "AmpOptimWrapper"
        wrapper.loss_scale = "dynamic"
