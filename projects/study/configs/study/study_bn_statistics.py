# For tools/recalibrate_bn.py: the vanilla detector, the pictures that the other arms train on.
_base_ = "_base_/study_mix.py"
