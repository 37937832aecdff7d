# A small SPDNet on the images of tools/make_toy_coco.py, for a CPU. The photographs that it is
# validated and tested on are others than those that it is trained on.
_base_ = "../../../../configs/spdnet_rain.py"

data_root = "data/toy_coco/"
model = dict(
    restorer=dict(
        n_feats=16,  # 32
        num_blocks=1,  # 3
        scale=255.0,  # 1; with the next line, lest images stay grey
        identity=True,  # False
    )
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    _base_.train_pipeline[2],  # RainPair
    dict(type="RandomCrop", crop_size=(48, 48)),  # 128
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackRainPair"),
]
load, _, pair, _, pack = _base_.val_dataloader.dataset.pipeline
cut = dict(type="CenterCrop", crop_size=(144, 144))  # 256; no image is smaller
train_dataloader = dict(
    batch_size=4,  # 16
    num_workers=1,  # 4
    dataset=dict(pipeline=train_pipeline, percent=100),  # 12
)
val_dataloader = dict(
    batch_size=4, num_workers=1, dataset=dict(pipeline=[load, pair, cut, pack], percent=20)
)
images = _base_.data_root + "test2017/"
tests = [
    dict(d, images=images, pipeline=[load, d.pipeline[2], cut, pack], percent=15)
    for d in _base_.test_dataloader.dataset.datasets
]
test_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(datasets=tests))

train_cfg = dict(max_epochs=6, val_interval=1)  # 300, 5
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),  # 5e-4, for fewer iterations
    clip_grad=dict(max_norm=1000.0),  # as the loss leaps early on, which Adam would long remember
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=6, eta_min_ratio=0.02, convert_to_iter_based=True),
]

del load, pair, cut, pack, images, tests, _
