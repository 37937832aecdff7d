_base_ = "derain_plugin::rtdetr/rtdetr_r18_featderain_ms.py"
data_root = "data/streets/"  # annotations/instances_{train,val}2017.json, train2017/, val2017/
classes = ("car", "person")
synthetic_rain = (1, 5)  # rendered while loading; None: rainy images in rainy_root
train_dataloader = dict(batch_size=8)  # 16
