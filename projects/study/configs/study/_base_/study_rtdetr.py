# Wider than the toy detector: pictographs differ in fine structure.
_base_ = "../../toy/_base_/toy_rtdetr.py"

wider = dict(
    backbone_config=dict(embedding_size=32, hidden_sizes=[32, 64, 128, 192], depths=[1, 1, 1, 1]),
    encoder_in_channels=[64, 128, 192],  # 64, 96, 128
    encoder_hidden_dim=96,  # 64
    encoder_ffn_dim=192,  # 128
    d_model=96,  # 64
    decoder_in_channels=[96, 96, 96],  # 64
    decoder_ffn_dim=192,  # 128
    num_queries=40,  # 25
)
model = dict(
    backbone=dict(**wider),
    neck=dict(**wider),
    bbox_head=dict(**wider),
    test_cfg=dict(max_per_img=40),  # 25
)
del wider
