# Pairs of a clean image of COCO and the same in our rain; no annotations are needed. Rain is
# rendered on the whole image, as its streaks follow the image's height; patches come after.
# A new data_root reaches the folders that `settings` names; see coco_rain_mix.py.
data_root = "data/coco/"
settings = dict(
    data_root=dict(
        filled=data_root,
        folders=[
            "train_dataloader.dataset.images",
            "val_dataloader.dataset.images",
            "test_dataloader.dataset.datasets.*.images",
        ],
    )
)
patch = 128  # px, cut out after the rain
centre = 256  # px: batches of one size, in known time and memory; whole ones take 5 x as long

# An image that is smaller than the patch grows by reflection.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Pad", size=(patch, patch), padding_mode="reflect"),
    dict(type="RainPair", severity=(1, 5)),  # without a seed: another rain in every epoch
    dict(type="RandomCrop", crop_size=(patch, patch)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackRainPair"),
]
load, pair, cut, pack = [
    dict(type="LoadImageFromFile"),
    dict(type="RainPair", severity=(1, 5), seed=0),  # always the same rain
    dict(type="CenterCrop", crop_size=(centre, centre)),
    dict(type="PackRainPair"),
]
grow = dict(type="Pad", size=(centre, centre), padding_mode="reflect")

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="RainPairDataset",
        images=data_root + "train2017/",
        pipeline=train_pipeline,
        # 12 % are 887 iterations; an epoch of the authors, on other data, has about as many.
        percent=12,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="RainPairDataset",
        images=data_root + "val2017/",
        pipeline=[load, grow, pair, cut, pack],
        percent=10,
        test_mode=True,
    ),
)
# Every severity on the same images.
tests = [
    dict(val_dataloader["dataset"], pipeline=[load, grow, dict(pair, severity=k), cut, pack])
    for k in (1, 2, 3, 4, 5)
]
test_dataloader = dict(val_dataloader, dataset=dict(type="ConcatDataset", datasets=tests))

val_evaluator = dict(type="RestorationMetric")
test_evaluator = dict(type="RestorationMetric")

del load, pair, cut, pack, grow, tests
