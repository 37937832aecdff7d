#!/usr/bin/env bash
# Finding: in eval mode the loss that RF-DETR and LW-DETR of transformers return is computed as if
# there were group_detr groups of queries, though eval mode has one.
#
# Versions: transformers 5.24.0, torch 2.13.0, Python 3.11.
# Valid input: model.eval()(pixel_values, labels=labels), as Trainer does for a validation loss.
# Right: group_detr says how many groups there are in training. In eval mode, where both models give the
# same predictions for any group_detr, it should not move the loss.
# Seen: the criterion is made anew for each call, in train mode, and splits the one group into parts, each
# of which is matched with all boxes. Same weights, same predictions, 3 groups against 1:
#
#     RF-DETR: predictions are equal True, loss 17.33 and 14.32
#     LW-DETR: predictions are equal True, loss 16.48 and 13.93
#
# A validation loss is then no measure of what the detector finds, and no loss to train by in eval mode.
# Ours: the adapter's detection loss has one group (tests/adapting/test_labels.py).
# Exits with 0 as long as transformers behaves so. Needs python3.11 and a package index.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 setuptools scipy pillow
cd "$folder"
cat > finding.py <<'PYTHON'
import sys

import torch
from transformers import (
    LwDetrConfig, LwDetrForObjectDetection, LwDetrViTConfig, RfDetrConfig, RfDetrDinov2Config,
    RfDetrForObjectDetection,
)

VIT = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, out_indices=[1, 3],
           image_size=64)
REST = dict(
    d_model=32, decoder_ffn_dim=32, decoder_layers=2, decoder_self_attention_heads=2,
    decoder_cross_attention_heads=4, num_queries=15, group_detr=3, c2f_num_blocks=1,
)
RF = RfDetrConfig(backbone_config=RfDetrDinov2Config(**VIT, patch_size=16), **REST)
LW = LwDetrConfig(
    backbone_config=LwDetrViTConfig(**VIT, patch_size=8, num_windows=4),
    projector_scale_factors=[1.0], **REST,
)
LABELS = [dict(class_labels=torch.tensor([0, 1, 1]),
               boxes=torch.tensor([[.3, .3, .2, .2], [.6, .5, .3, .2], [.7, .8, .2, .1]]))]


@torch.no_grad()
def behaviour(detector, config):
    torch.manual_seed(0)
    model = detector(config).eval()
    for parameter in model.parameters():  # fresh heads say the same everywhere
        parameter.add_(0.1 * torch.randn_like(parameter))
    pixels = torch.rand(1, 3, 128, 128)
    several = model(pixels, labels=LABELS)
    model.config.group_detr = 1
    one = model(pixels, labels=LABELS)
    return torch.equal(several.pred_boxes, one.pred_boxes), several.loss.item(), one.loss.item()


found = {
    "RF-DETR": behaviour(RfDetrForObjectDetection, RF),
    "LW-DETR": behaviour(LwDetrForObjectDetection, LW),
}
for name, (equal, several, one) in found.items():
    print(f"{name}: predictions are equal {equal}, loss {several:.2f} and {one:.2f}")
sys.exit(any(not equal or abs(several - one) < 0.1 for equal, several, one in found.values()))
PYTHON
"$folder/venv/bin/python" finding.py
