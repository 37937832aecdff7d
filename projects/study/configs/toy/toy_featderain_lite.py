_base_ = "./toy_featderain_ms.py"
model = dict(
    neck=dict(
        derain=dict(_delete_=True, type="LightweightFeatureDerain", in_channels=[64, 96, 128])
    )
)
