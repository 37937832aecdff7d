# SPDNet in front of the detector, which it is tested with as it is.
_base_ = "coco_finetune_mix.py"
model = dict(
    data_preprocessor=dict(
        type="PixelDerainDataPreprocessor",  # DetDataPreprocessor
        restorer=dict(type="SPDNet"),
    )
)
