#!/usr/bin/env bash
# Finding: InstanceData.clone() of mmengine copies no tensor, unlike torch's clone().
#
# Versions: onedl-mmengine 0.10.12, torch 2.13.0, Python 3.11.
# Valid input: boxes of an image, cloned, and the clone's flipped in place, as an augmentation does.
# Right: the original keeps its boxes, as with torch.Tensor.clone().
# Seen: original and clone share their tensors, so the original is flipped, too, and the next use of
# the same annotations starts from flipped boxes:
#
#     original before: [[5.0, 6.0, 25.0, 27.0]]
#     original after:  [[50.0, 6.0, 70.0, 27.0]]
#
# Ours: RainyTwins copies the boxes that it flips (tests/adapting/test_labels.py).
# Exits with 0 as long as mmengine behaves so. Needs python3.11 and a package index.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 onedl-mmengine==0.10.12 \
    opencv-python-headless==4.12.0.88 setuptools
cd "$folder"
cat > finding.py <<'PYTHON'
import sys

import torch
from mmengine.structures import InstanceData

original = InstanceData(bboxes=torch.tensor([[5.0, 6.0, 25.0, 27.0]]))
before = original.bboxes.tolist()
flipped = original.clone()
flipped.bboxes[:, [0, 2]] = 75 - flipped.bboxes[:, [2, 0]]  # in an image 75 px wide
print("original before:", before)
print("original after: ", original.bboxes.tolist())
sys.exit(original.bboxes.tolist() != [[50.0, 6.0, 70.0, 27.0]])
PYTHON
"$folder/venv/bin/python" finding.py
