# What the arms share that start from the study's vanilla detector; the table of what each one sets
# is projects/study/arm_configs.py. Pipelines, test split and conditions are the toy data's.
_base_ = [
    "../toy/_base_/toy_rtdetr.py",
    "../toy/_base_/toy_coco.py",
    "../../../../configs/_base_/schedules/derain_phases.py",
    "../../../../configs/_base_/default_runtime.py",
]

data_root = "data/study_coco/"  # of tools/make_study_coco.py
classes = (
    "rook", "knight", "bishop", "telephone", "umbrella", "scissors",
    "aeroplane", "hand", "pencil", "star", "note", "face",
)  # fmt: skip
image_size = 192  # 160; about the images' own size, so that COCO's S, M and L keep their meaning
percent = 40  # 100

# Wider than the toy detector: pictographs differ in fine structure.
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
train_cfg = dict(val_interval=5)  # 1
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))  # 3: arms are tested after phase 1, too
load_from = "work_dirs/study_rtdetr_coco/epoch_20.pth"
del wider
