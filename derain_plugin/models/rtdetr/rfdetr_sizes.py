"""The sizes of RF-DETR and LW-DETR as fields of transformers' configs.

RF-DETR (Robinson et al. 2025, arXiv 2511.09554), as transformers' conversion script has it,
https://github.com/huggingface/transformers/blob/056f9ac8d9c706e4dbba4f437cc33596301904ec/src/transformers/models/rf_detr/convert_rf_detr_weights_to_hf.py
and LW-DETR (Chen et al. 2024, arXiv 2406.03459), as the configs of its converted weights have it,
https://huggingface.co/AnnaZhang/lwdetr_small_60e_coco
``image_size`` says how many positions a ViT has embeddings for; it takes images of other sizes.
"""

from __future__ import annotations

from typing import Any


def _rfdetr(decoder_layers: int, **backbone: Any) -> dict[str, Any]:
    """DINOv2-S with windows; its maps, of one size, are projected to a single one."""
    vit = dict(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        patch_size=16,
        num_windows=2,
        out_indices=[3, 6, 9, 12],
    )
    return dict(
        backbone_config={**vit, **backbone}, decoder_layers=decoder_layers, decoder_n_points=2
    )


def _lwdetr(width: int, *, layers: int = 10, **settings: Any) -> dict[str, Any]:
    """A ViT of 16 windows, of which those of ``window_block_indices`` attend to themselves."""
    small = layers == 6
    vit = dict(
        image_size=1024,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=12,
        window_block_indices=[0, 2, 4] if small else [0, 1, 3, 6, 7, 9],
        out_indices=[2, 4, 6] if small else [3, 5, 6, 10],
    )
    one_map = dict(projector_scale_factors=[1.0], decoder_n_points=2)
    return dict(one_map, backbone_config=vit, **settings)


_TWO_MAPS: dict[str, Any] = dict(
    projector_scale_factors=[2.0, 0.5],
    decoder_self_attention_heads=12,
    decoder_cross_attention_heads=24,
    decoder_n_points=4,
    d_model=384,
)

RFDETR_SIZES: dict[str, dict[str, Any]] = {
    "nano": _rfdetr(2, image_size=384),
    "small": _rfdetr(3, image_size=512),
    "base": _rfdetr(3, image_size=518, patch_size=14, num_windows=4, out_indices=[2, 5, 8, 11]),
    "medium": _rfdetr(4, image_size=576),
    "large": _rfdetr(4, image_size=704),
}
LWDETR_SIZES: dict[str, dict[str, Any]] = {
    "tiny": _lwdetr(192, layers=6, num_queries=100),
    "small": _lwdetr(192),
    "medium": _lwdetr(384),
    "large": {**_lwdetr(384), **_TWO_MAPS},
    "xlarge": {**_lwdetr(768), **_TWO_MAPS},
}
