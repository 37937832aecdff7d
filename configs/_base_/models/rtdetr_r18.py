# RT-DETR-R18 as upstream trains it: pixels 0-1 without mean and std, a new square size per batch.
model = dict(
    type="RTDETR",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[0, 0, 0],
        std=[255, 255, 255],
        bgr_to_rgb=True,
        batch_augments=[
            dict(
                type="BatchRandomResize",  # 640 three times as likely as the other sizes
                sizes=[480, 512, 544, 576, 608, 640, 640, 640, 672, 704, 736, 768, 800],
            )
        ],
    ),
    backbone=dict(type="RTDETRBackbone", arch="r18"),
    neck=dict(type="RTDETRHybridEncoder", arch="r18"),
    bbox_head=dict(type="RTDETRHead", arch="r18", num_classes=80),
    test_cfg=dict(max_per_img=300),
)
