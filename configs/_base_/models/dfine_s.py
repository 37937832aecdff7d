# D-FINE-S (Peng et al. 2024): HGNetV2-B0, and boxes from distributions of their edges.
_base_ = "./rtdetr_r18.py"
model = dict(
    data_preprocessor=dict(
        batch_augments=[
            dict(
                type="BatchRandomResize",  # 640 twenty times as likely, as upstream has it for S
                sizes=[480, 512, 544, 576, 608, *[640] * 20, 672, 704, 736, 768, 800],
            )
        ],
    ),
    backbone=dict(arch="dfine_s"),
    neck=dict(arch="dfine_s"),
    bbox_head=dict(arch="dfine_s"),
)
