# All BatchNorm layers of an RT-DETR without de-raining, as patterns for PhasedTrainingHook.
batch_norms = (
    "backbone.model.embedder.embedder.*.normalization",
    "backbone.model.encoder.stages.*.layers.*.shortcut.normalization",
    "backbone.model.encoder.stages.*.layers.*.shortcut.1.normalization",
    "backbone.model.encoder.stages.*.layers.*.layer.*.normalization",
    "neck.encoder_input_proj.*.1",
    "neck.encoder.*.*.norm",
    "neck.encoder.*.*.*.norm",
    "neck.encoder.*.*.bottlenecks.*.*.norm",
    "bbox_head.detr.model.decoder_input_proj.*.1",
)
