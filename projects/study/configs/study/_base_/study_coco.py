# The images of tools/make_study_coco.py; pipelines, test split and conditions are the toy's.
_base_ = "../../toy/_base_/toy_coco.py"

data_root = "data/study_coco/"
classes = (
    "rook", "knight", "bishop", "telephone", "umbrella", "scissors",
    "aeroplane", "hand", "pencil", "star", "note", "face",
)  # fmt: skip
image_size = 192  # 160; about the images' own size, so that COCO's S, M and L keep their meaning
