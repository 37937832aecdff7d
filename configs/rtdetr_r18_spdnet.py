# The pixel-level rival: a frozen SPDNet restores the pictures that the control is fine-tuned on.
# Its weights, from tools/convert_spdnet.py or trained here, for training and testing alike:
#   --cfg-options model.data_preprocessor.restorer.init_cfg.type=Pretrained \
#                 model.data_preprocessor.restorer.init_cfg.checkpoint=spdnet.pth
_base_ = "rtdetr_r18_finetune_mix.py"
model = dict(
    data_preprocessor=dict(
        type="PixelDerainDataPreprocessor",  # DetDataPreprocessor
        restorer=dict(type="SPDNet"),
    )
)
