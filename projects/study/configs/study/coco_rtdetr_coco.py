# The COCO family of the study, tools/study.py --family coco: the published RT-DETR-R18 as it is.
_base_ = "../../../../configs/rtdetr_r18_coco.py"
