# The pixel-level rival: a frozen SPDNet restores the images that the control is fine-tuned on.
# Its weights, from tools/convert_spdnet.py, for training and testing alike:
#   --cfg-options model.data_preprocessor.restorer.init_cfg.type=Pretrained \
#                 model.data_preprocessor.restorer.init_cfg.checkpoint=spdnet.pth
# Those that spdnet_rain.py trained need a prefix, too:
#                 model.data_preprocessor.restorer.init_cfg.checkpoint=epoch_300.pth \
#                 model.data_preprocessor.restorer.init_cfg.prefix=restorer.
# One of another size or scale, such as toy_spdnet_rain.py's, needs its options as well:
#                 model.data_preprocessor.restorer.n_feats=16 \
#                 model.data_preprocessor.restorer.num_blocks=1 \
#                 model.data_preprocessor.restorer.scale=255
_base_ = "rtdetr_r18_finetune_mix.py"
model = dict(
    data_preprocessor=dict(
        type="PixelDerainDataPreprocessor",  # DetDataPreprocessor
        restorer=dict(type="SPDNet"),
    )
)
