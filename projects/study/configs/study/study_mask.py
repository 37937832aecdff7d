# Multi-scale, its masks taught by the true streaks.
_base_ = "_base_/study_twin.py"
model = dict(mask_weight=1.0)  # 0
