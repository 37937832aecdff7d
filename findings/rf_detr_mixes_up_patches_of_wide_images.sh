#!/usr/bin/env bash
# Finding: the ViT of RF-DETR in transformers puts patches of an image that is not square into wrong
# places, without a word.
#
# Versions: transformers 5.24.0, torch 2.13.0, Python 3.11.
# Valid input: pixel values of 64 x 128 px for a backbone with patches of 16 px in 2 x 2 windows, which
# divide the image evenly; the map asked for is the one before any layer.
# Right: there no window matters, so the map is the same with one window and with four.
# Seen: the same for a square image, another one for the wide image: heads then read a patch's feature
# at another place. Partition into windows takes height for width, the way back does not:
#
#     128 x 128 px: 0 of 64 patches moved; first row [0, 1, 2, 3, 4, 5, 6, 7]
#     64 x 128 px: 16 of 32 patches moved; first row [0, 1, 4, 5, 2, 3, 6, 7]
#
# Ours: RTDETRBackbone refuses such images by name (tests/models/backbones/test_vit_backbones.py).
# Exits with 0 as long as transformers behaves so. Needs python3.11 and a package index.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 setuptools
cd "$folder"
cat > finding.py <<'PYTHON'
import sys

import torch
from transformers import RfDetrDinov2Config
from transformers.models.rf_detr.modeling_rf_detr import RfDetrDinov2Backbone

PATCH = 16


def map_of(windows, pixels):
    torch.manual_seed(0)
    config = RfDetrDinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=128,
        patch_size=PATCH, num_windows=windows, out_indices=[0], apply_layernorm=False,
    )
    with torch.no_grad():
        return RfDetrDinov2Backbone(config).eval()(pixels).feature_maps[0][0].flatten(1).T


def places(height, width):
    """Where each patch of the map comes from."""
    pixels = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    whole, windowed = map_of(1, pixels), map_of(2, pixels)
    return torch.cdist(windowed, whole).argmin(1).tolist()


moved = {}
for height, width in ((128, 128), (64, 128)):
    found = places(height, width)
    moved[height] = sum(a != b for a, b in enumerate(found))
    row = found[: width // PATCH]
    print(f"{height} x {width} px: {moved[height]} of {len(found)} patches moved; first row {row}")
sys.exit(moved[128] != 0 or moved[64] == 0)
PYTHON
"$folder/venv/bin/python" finding.py
