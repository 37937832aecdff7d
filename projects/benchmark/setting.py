"""Under which circumstances detectors are compared; torch loads when one is made."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # torch's names
BACKENDS = ("eager", "compile")
STRIDE = 32  # px, of the coarsest level


@dataclass(frozen=True)
class Setting:
    """One circumstance for all arms.

    Attributes:
        batch_size: Images at once.
        size: Height and width of the images, px; a multiple of 32.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: ``fp32``, or ``bf16`` or ``fp16`` for autocast with weights in fp32.
        channels_last: Whether the weights, and with them the feature maps, lie channels last.
        backend: ``eager`` or ``compile`` (``torch.compile``).
        threads: Of torch on the CPU; None for torch's default.

    Raises:
        ValueError: A value that cannot be.
    """

    batch_size: int = 1
    size: int = 640
    device: str = "cpu"
    dtype: str = "fp32"
    channels_last: bool = False
    backend: str = "eager"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.size < STRIDE or self.size % STRIDE:
            raise ValueError(f"size must be a positive multiple of {STRIDE} px, got {self.size}")
        if self.dtype not in DTYPES or self.backend not in BACKENDS:
            raise ValueError(
                f"dtype must be one of {list(DTYPES)} and backend one of {list(BACKENDS)}, got "
                f"{self.dtype!r} and {self.backend!r}"
            )
        _check_device(self.device)

    @property
    def name(self) -> str:
        """Such as ``cpu_fp32_640px_batch1``, for files."""
        parts = [self.device.replace(":", ""), self.dtype, f"{self.size}px"]
        parts.append(f"batch{self.batch_size}")
        parts += [f"threads{self.threads}"] if self.threads else []
        parts += ["channels_last"] * self.channels_last + ["compile"] * (self.backend == "compile")
        return "_".join(parts)

    def use_threads(self) -> None:
        """Set torch's threads, for the whole process."""
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def autocast(self) -> AbstractContextManager:
        """Return the context in which models run."""
        import torch

        dtype = getattr(torch, DTYPES[self.dtype])
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype, enabled=dtype != torch.float32)

    def synchronize(self) -> None:
        """Wait for the device."""
        import torch

        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)

    def draw_batch(self) -> dict:
        """Return noise as a test data loader gives it: uint8 images and their samples."""
        import torch
        from mmdet.structures import DetDataSample

        generator = torch.Generator().manual_seed(0)
        shape = self.size, self.size
        meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
        images = torch.randint(
            256, (self.batch_size, 3, *shape), dtype=torch.uint8, generator=generator
        )
        samples = [DetDataSample(metainfo=dict(meta, img_id=i)) for i in range(self.batch_size)]
        return dict(inputs=list(images), data_samples=samples)


def _check_device(name: str) -> None:
    import torch

    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ValueError(f"device must be cpu, cuda or cuda:N, got {name!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device is {name!r}, but torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices here"
        )
