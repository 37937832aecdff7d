"""The sizes of D-FINE (Peng et al. 2024, arXiv 2410.13842) as fields of transformers' config.

They are differences from transformers' defaults, which are nearly L. Sources: upstream's configs,
https://github.com/Peterande/D-FINE/tree/2562e29cf4da4d317530f7766270c024d6399f5a/configs/dfine
and, for N and for how many layers transformers keeps of M, its conversion script,
https://github.com/huggingface/transformers/blob/1e98d0019e71019c05b20929e2e271bff07128ff/src/transformers/models/d_fine/convert_d_fine_original_pytorch_checkpoint_to_hf.py
"""

from __future__ import annotations

from typing import Any

_HGNETV2_B0: dict[str, Any] = dict(
    stem_channels=[3, 16, 16],
    stage_in_channels=[16, 64, 256, 512],
    stage_mid_channels=[16, 32, 64, 128],
    stage_out_channels=[64, 256, 512, 1024],
    stage_num_blocks=[1, 1, 2, 1],
    stage_numb_of_layers=[3, 3, 3, 3],
    use_learnable_affine_block=True,
)
DFINE_SIZES: dict[str, dict[str, Any]] = {
    "n": dict(  # two levels, strides 16 and 32
        backbone_config=dict(_HGNETV2_B0, out_indices=[3, 4]),
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[512, 1024],
        encoder_hidden_dim=128,
        encoder_ffn_dim=512,
        encode_proj_layers=[1],
        feat_strides=[16, 32],
        hidden_expansion=0.34,
        depth_mult=0.5,
        d_model=128,
        num_feature_levels=2,
        decoder_in_channels=[128, 128],
        decoder_ffn_dim=512,
        decoder_layers=3,
        decoder_n_points=[6, 6],
    ),
    "s": dict(
        backbone_config=_HGNETV2_B0,
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[256, 512, 1024],
        hidden_expansion=0.5,
        depth_mult=0.34,
        decoder_layers=3,
        decoder_n_points=[3, 6, 3],
    ),
    "m": dict(
        backbone_config=dict(
            stem_channels=[3, 24, 32],
            stage_in_channels=[32, 96, 384, 768],
            stage_mid_channels=[32, 64, 128, 256],
            stage_out_channels=[96, 384, 768, 1536],
            stage_numb_of_layers=[4, 4, 4, 4],
            use_learnable_affine_block=True,
        ),
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[384, 768, 1536],
        depth_mult=0.67,
        decoder_layers=4,
        decoder_n_points=[3, 6, 3],
    ),
    "l": dict(backbone_config={}, decoder_n_points=[3, 6, 3]),
    "x": dict(
        backbone_config=dict(
            stem_channels=[3, 32, 64],
            stage_in_channels=[64, 128, 512, 1024],
            stage_mid_channels=[64, 128, 256, 512],
            stage_num_blocks=[1, 2, 5, 2],
        ),
        encoder_hidden_dim=384,
        encoder_ffn_dim=2048,
        decoder_in_channels=[384, 384, 384],
        decoder_n_points=[3, 6, 3],
        reg_scale=8.0,
    ),
}
