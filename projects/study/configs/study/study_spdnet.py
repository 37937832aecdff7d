# SPDNet in front of the detector, which it is tested with as it is.
_base_ = "study_finetune_mix.py"
model = dict(
    data_preprocessor=dict(
        type="PixelDerainDataPreprocessor",  # DetDataPreprocessor
        restorer=dict(type="SPDNet", n_feats=16, num_blocks=1, scale=255.0),
    )
)
