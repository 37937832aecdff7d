# The seven settings; the block `settings` below lists what each one fills. A new value, from a
# child config or from --cfg-options, gets there with our commands, with derain_plugin.load_config
# and with mmdet's tools/train.py and test.py. What sets one of those places itself, or replaces its
# dataset, keeps its own value: derain_plugin/config/settings.py says who wins.
data_root = "data/coco/"
rainy_root = "data/coco_rain/"  # the same file names under train2017/ and val2017/
classes = None  # None: the 80 of COCO; else a tuple of category names
percent = 100  # of the training images, always the same ones
synthetic_rain = None  # None: read rainy_root; 3 or (1, 5): render it while training, validating
rain_components = None  # None: the renderer's default; else a part, such as ("veil", "spray=0.5")
image_size = 640  # px, a multiple of 32, of a square; or (width, height)

datasets = [
    "train_dataloader.dataset.clean",
    "train_dataloader.dataset.rainy",
    "val_dataloader.dataset.datasets.*",
    "test_dataloader.dataset.datasets.*",
]
folders = [
    *(f"{dataset}.ann_file" for dataset in datasets),
    *(f"{dataset}.data_prefix.img" for dataset in datasets),
    "val_evaluator.metrics.*.ann_file",
    "test_evaluator.metrics.*.ann_file",
]
steps = ["Resize|WarpResize.scale", "RandomResize.scale", "RandomCrop.crop_size", "Pad.size"]
# Plain paths beside the base that has them, as a dumped config keeps them and a child can change
# them. `filled` is what they hold now. The tests' severities are no setting's.
settings = dict(
    data_root=dict(filled=data_root, folders=folders),
    rainy_root=dict(filled=rainy_root, folders=folders),
    classes=dict(
        filled=classes,
        metainfo=datasets,
        num_classes=["model.bbox_head.num_classes"],
    ),
    percent=dict(filled=percent, value=["train_dataloader.dataset.percent"]),
    synthetic_rain=dict(
        filled=synthetic_rain,
        rainy=["train_dataloader.dataset.rainy", "val_dataloader.dataset.datasets.1"],
    ),
    rain_components=dict(filled=rain_components),  # of the rain that synthetic_rain renders
    image_size=dict(
        filled=image_size,
        squares=[f"{dataset}.pipeline.{step}" for dataset in datasets for step in steps],
        multi_scale=["model.data_preprocessor.batch_augments.BatchRandomResize.sizes"],
    ),
)

# RT-DETR's augmentation with mmdet's draws and boxes, and the names of mmdet's steps without Uint8,
# Lazy and Warp, which work here, too. These keep the image uint8 and warp it once. Colours are
# distorted behind the crop, of what it keeps; with mmdet's own Expand they have to come first.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="LazyExpand", mean=[0, 0, 0], to_rgb=False, ratio_range=(1, 4), prob=0.5),
    dict(type="RandomApply", transforms=[dict(type="LazyMinIoURandomCrop")], prob=0.8),
    dict(type="Uint8PhotoMetricDistortion"),
    dict(type="LazyRandomFlip", prob=0.5),
    dict(type="WarpResize", scale=(image_size, image_size), keep_ratio=False),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(image_size, image_size), keep_ratio=False),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]

clean_train = dict(
    type="NamedCocoDataset",
    ann_file=data_root + "annotations/instances_train2017.json",
    data_prefix=dict(img=data_root + "train2017/"),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=train_pipeline,
)
rainy_train = dict(clean_train, data_prefix=dict(img=rainy_root + "train2017/"))
clean_val = dict(
    type="NamedCocoDataset",
    ann_file=data_root + "annotations/instances_val2017.json",
    data_prefix=dict(img=data_root + "val2017/"),
    test_mode=True,
    pipeline=test_pipeline,
)
rainy_val = dict(clean_val, data_prefix=dict(img=rainy_root + "val2017/"))

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="RainMixDataset",
        clean=clean_train,
        rainy=rainy_train,
        rain_ratio=0.7,
        percent=percent,
        seed=0,
    ),
)
val_dataloader = dict(
    batch_size=24,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="InterleavedDataset", datasets=[clean_val, rainy_val]),
)
# Rain rendered on the fly, whatever trained the model; see configs/conditions/ for other tests.
load, *rest = test_pipeline
severity_tests = [
    dict(clean_val, pipeline=[load, dict(type="SyntheticRain", severity=(k, k), seed=0), *rest])
    for k in (1, 2, 3, 4, 5)
]
test_dataloader = dict(
    val_dataloader, dataset=dict(type="InterleavedDataset", datasets=[clean_val, *severity_tests])
)

coco_metric = dict(
    type="NamedCocoMetric",
    metric="bbox",
    ann_file=data_root + "annotations/instances_val2017.json",
    # COCO counts 100 detections per image, as tools/compare_results.py does. mmdet does so for AP,
    # but counts 1,000, the last number, for AP50, AP75, AP_S, AP_M and AP_L.
    proposal_nums=(100, 100, 100),
)
val_evaluator = dict(
    type="CleanRainEvaluator",
    metrics=[coco_metric, coco_metric],
    dataset_prefixes=["clean", "rainy"],
)
test_evaluator = dict(
    type="CleanRainEvaluator",
    metrics=[coco_metric] * 6,
    dataset_prefixes=["clean", *(f"severity_{k}" for k in (1, 2, 3, 4, 5))],
)

del (
    datasets,
    folders,
    steps,
    clean_train,
    rainy_train,
    clean_val,
    rainy_val,
    load,
    rest,
    severity_tests,
    coco_metric,
)
