# The small SPDNet of toy_spdnet_rain.py, trained on the study's pictures and all of its rain.
_base_ = "../toy/toy_spdnet_rain.py"
data_root = "data/study_coco/"
load, pair, *rest = _base_.train_pipeline
train_dataloader = dict(
    dataset=dict(pipeline=[load, dict(pair, severity=(1, 5)), *rest], percent=50)  # (3, 5), 100
)
del load, pair, rest
