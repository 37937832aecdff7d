# For tools/recalibrate_bn.py: the vanilla detector, the pictures that the other arms train on.
_base_ = "_base_/coco_mix.py"
