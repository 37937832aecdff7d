"""The sizes of DEIMv2 (Huang et al. 2025, arXiv 2509.20787) as fields of transformers' config.

Sources: upstream's configs, as of 2025-09-26,
https://github.com/Intellindust-AI-Lab/DEIMv2/tree/fef125c303e4eb9f73fd79db19f47f933294c969/configs/deimv2
and, for what transformers makes of them, its conversion script,
https://github.com/huggingface/transformers/blob/1e64c2491ec7ba2dfbc9b0f8a7d70b7b3dfdfe54/src/transformers/models/deimv2/convert_deimv2_original_pytorch_checkpoint_to_hf.py
The settings of the losses are upstream's: the script leaves those of transformers, which are
D-FINE's.
"""

from __future__ import annotations

from typing import Any

from derain_plugin.models.rtdetr.dfine_sizes import DFINE_SIZES

_ALL: dict[str, Any] = dict(decoder_activation_function="silu", focal_loss_gamma=1.5)


def _lite(width: int, *, queries: int, ffn: int, **stages: Any) -> dict[str, Any]:
    """One map of stride 16, of which the lite encoder makes two; without D-FINE's losses."""
    backbone: dict[str, Any] = dict(
        depths=[3, 3, 3],
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256],
        stage_mid_channels=[16, 32, 64],
        stage_out_channels=[64, 256, 512],
        stage_num_blocks=[1, 1, 1],
        stage_downsample=[False, True, True],
        stage_light_block=[False, False, True],
        stage_kernel_size=[3, 3, 5],
        stage_numb_of_layers=[3, 3, 3],
        use_learnable_affine_block=True,
        out_indices=[3],
    )
    backbone.update(stages)
    return dict(
        _ALL,
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,
        encoder_type="lite",
        encoder_layers=0,
        encoder_in_channels=backbone["stage_out_channels"][-1:],
        encoder_hidden_dim=width,
        hidden_expansion=0.34,
        depth_mult=0.5,
        feat_strides=[16, 32],
        d_model=width,
        num_feature_levels=2,
        decoder_in_channels=[width, width],
        decoder_n_points=[4, 2],
        decoder_ffn_dim=ffn,
        decoder_layers=3,
        num_queries=queries,
        share_bbox_head=True,
        use_gateway=False,
        use_dense_one_to_one=False,
        weight_loss_fgl=0.0,
        weight_loss_ddf=0.0,
    )


def _with_dinov3(width: int, vit: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A ViT of stride 16 beside convolutions, of both together three maps."""
    backbone = dict(model_type="dinov3_vit", num_hidden_layers=12, out_indices=[6, 9, 12], **vit)
    return dict(
        _ALL,
        backbone_config=backbone,
        encoder_in_channels=[width] * 3,
        encoder_hidden_dim=width,
        encoder_has_trailing_conv=False,
        d_model=width,
        decoder_in_channels=[width] * 3,
        decoder_n_points=[3, 6, 3],
        **settings,
    )


def _distilled(width: int, heads: int) -> dict[str, Any]:
    """Upstream's own ViT-Tiny and ViT-Tiny+, distilled from DINOv3."""
    return dict(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        pos_embed_rescale=None,
        apply_layernorm=False,
    )


_META: dict[str, Any] = dict(layerscale_value=1e-5, num_register_tokens=4, key_bias=True)

DEIMV2_SIZES: dict[str, dict[str, Any]] = {
    "atto": _lite(
        64,
        queries=100,
        ffn=160,
        stage_out_channels=[64, 256, 256],
        stage_kernel_size=[3, 3, 3],
    ),
    "femto": _lite(96, queries=150, ffn=256),
    "pico": _lite(112, queries=200, ffn=320, stage_num_blocks=[1, 1, 2]),
    "n": dict(DFINE_SIZES["n"], **_ALL),
    "s": _with_dinov3(
        192,
        _distilled(192, heads=3),
        encoder_ffn_dim=512,
        hidden_expansion=0.34,
        depth_mult=0.67,
        decoder_ffn_dim=512,
        decoder_layers=4,
    ),
    "m": _with_dinov3(
        256,
        _distilled(256, heads=4),
        encoder_ffn_dim=512,
        hidden_expansion=0.67,
        decoder_ffn_dim=512,
        decoder_layers=4,
    ),
    "l": _with_dinov3(
        224,
        _META,
        spatial_tuning_adapter_inplanes=32,
        encoder_ffn_dim=896,
        decoder_ffn_dim=1792,
        decoder_layers=4,
    ),
    "x": _with_dinov3(
        256,
        dict(_META, use_gated_mlp=True),
        spatial_tuning_adapter_inplanes=64,
        hidden_expansion=1.25,
        depth_mult=1.37,
        decoder_ffn_dim=2048,
    ),
}
