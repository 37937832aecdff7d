# Early de-rain blocks and the multi-scale neck alone, for all epochs: the detector stays as it is.
_base_ = "../../../../configs/rtdetr_r18_featderain_adapter.py"
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))  # 3: all are kept, as of every arm
