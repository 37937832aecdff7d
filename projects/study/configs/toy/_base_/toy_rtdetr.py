# An RT-DETR of 0.9 M parameters; any field of transformers' RTDetrConfig can be set so.
_base_ = "../../../../../configs/_base_/models/rtdetr_r18.py"

small = dict(
    backbone_config=dict(embedding_size=32, hidden_sizes=[32, 64, 96, 128], depths=[1, 1, 1, 1]),
    encoder_in_channels=[64, 96, 128],
    encoder_hidden_dim=64,
    encoder_ffn_dim=128,
    encoder_attention_heads=4,
    d_model=64,
    decoder_in_channels=[64, 64, 64],
    decoder_ffn_dim=128,
    decoder_attention_heads=4,
    decoder_layers=2,
    num_queries=25,
    num_denoising=30,
)
model = dict(
    backbone=dict(**small),
    neck=dict(**small),
    # Few iterations: duplicates need a stronger push to go.
    bbox_head=dict(weight_loss_vfl=2.0, focal_loss_gamma=1.0, **small),
    test_cfg=dict(max_per_img=25),  # 300
)
del small
