#!/usr/bin/env bash
# Finding: mmcv's efficient_conv_bn_eval computes another function where a convolution standardizes
# its weights.
#
# Versions: mmcv-lite 2.2.0 (the same code as mmcv 2.2.0's), mmengine 0.10.7, torch 2.13.0,
# Python 3.11.
# Valid input: a ConvModule in eval mode with mmcv's ConvAWS or ConvWS, which its registry offers
# as conv_cfg, and a BatchNorm.
# Right: efficient_conv_bn_eval is an optimisation: the output is the same but for rounding, as it is
# with plain convolutions.
# Seen: the fused forward calls Conv2d._conv_forward with the raw weights, not the forward that
# standardizes them, so without a word all outputs are others:
#
#     Conv2d   largest difference: below 1e-5
#     ConvAWS  largest difference: above 1
#     ConvWS   largest difference: above 1
#
# Ours: derain-adapt folds frozen norms into plain convolutions alone
# (tests/adapting/test_norms_in_convs.py).
# Exits with 0 as long as mmcv behaves so. Needs python3.11 and a package index.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 mmengine==0.10.7 mmcv-lite==2.2.0 \
    opencv-python-headless==4.12.0.88 setuptools==80.9.0
cd "$folder"
cat > finding.py <<'PYTHON'
import sys

import torch
from mmcv.cnn import ConvModule

seen = {}
for kind in ("Conv2d", "ConvAWS", "ConvWS"):
    torch.manual_seed(0)
    module = ConvModule(4, 8, 3, conv_cfg=dict(type=kind), norm_cfg=dict(type="BN")).eval()
    image = torch.randn(1, 4, 9, 9)
    with torch.no_grad():
        expected = module(image)
        module.turn_on_efficient_conv_bn_eval()
        seen[kind] = (module(image) - expected).abs().max().item()
    said = "below 1e-5" if seen[kind] < 1e-5 else "above 1" if seen[kind] > 1 else "between"
    print(f"{kind:8} largest difference: {said}")
sys.exit(not (seen["Conv2d"] < 1e-5 and min(seen["ConvAWS"], seen["ConvWS"]) > 1))
PYTHON
"$folder/venv/bin/python" finding.py
