"""The weights of a detector without an adapter's, and what tells them from others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

import torch
from torch import Tensor, nn

from derain_plugin.adapting.early_blocks import early_of
from derain_plugin.adapting.front_filter import filter_of
from derain_plugin.models.necks import DerainNeck

# Of mmdet, and of transformers, which has projections in the same module in some detectors.
BACKBONE = re.compile(r"(model\.)?(backbone|conv_encoder)\.(?!projector\.|encoder_input_proj\.)")


def base_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return weights and buffers of a detector under its own names.

    Those of a de-rain neck, of an adapter's early blocks and of its image filter are left out.
    Early blocks and a filter that a detector was trained with are its own.
    """
    added = ["derain_module.", "neck.derain."]
    if early_of(model) is not None:
        added += ["early_derain.", "backbone.derain."]
    if filter_of(model) is not None:
        added += ["image_filter.", "backbone.image_filter."]
    weights = {}
    for name, tensor in model.state_dict().items():
        if name.startswith(tuple(added)):
            continue
        is_derained = isinstance(getattr(model, "neck", None), DerainNeck)
        inner = name.replace("neck.neck.", "neck.", 1) if is_derained else name
        weights[inner.removeprefix("rtdetr.")] = tensor
    return weights


def hash_of(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes, whatever the order."""
    digest = sha256()
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].dtype} {tuple(weights[name].shape)}".encode())
        digest.update(_bytes(weights[name]))
    return digest.hexdigest()


def backbone_hash(model: nn.Module) -> str:
    """Return a SHA-256 of the backbone's weights that is the same in mmdet and transformers.

    Names differ between the libraries, so it is made of the tensors' own hashes, in their order.
    """
    tensors = [
        tensor
        for name, tensor in base_weights(model).items()
        if BACKBONE.match(name) and tensor.is_floating_point()
    ]
    hashes = sorted(sha256(_bytes(tensor.float())).hexdigest() for tensor in tensors)
    return sha256("".join(hashes).encode()).hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
