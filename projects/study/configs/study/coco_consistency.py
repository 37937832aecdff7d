# Multi-scale, pulled towards the vanilla detector's features of the clean twin.
_base_ = "_base_/coco_twin.py"
model = dict(consistency_weight=5.0)  # 0
