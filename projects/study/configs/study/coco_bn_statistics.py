# For tools/recalibrate_bn.py: the vanilla detector, the images that the other arms train on.
_base_ = "_base_/coco_mix.py"
