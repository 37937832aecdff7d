#!/usr/bin/env bash
# Finding: a DEIMv2 of transformers whose decoder layers share a box head loses it in save_pretrained
# and from_pretrained, and the loading report is empty.
#
# Versions: transformers 5.24.0, torch 2.13.0, Python 3.11.
# Valid input: Deimv2ForObjectDetection with share_bbox_head=True, as its sizes Atto, Femto and Pico
# have it; saved by save_pretrained and loaded by from_pretrained.
# Right: the loaded model has the weights of the saved one.
# Seen: the file holds the shared head under the last layer's name, the loader asks for the first
# layer's, and the head starts anew. With two decoder layers:
#
#     saved:             model.decoder.bbox_embed.1 alone
#     of other values:   model.decoder.bbox_embed.0.layers.0.weight and 23 more, all of the head
#     report:            nothing missing, nothing unexpected, nothing mismatched
#
# With share_bbox_head=False all weights come back.
# Ours: the head is saved and read under the name that transformers asks for, also from a file that
# transformers wrote (tests/hf/test_derained_deimv2.py).
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
from safetensors import safe_open
from transformers import Deimv2Config, Deimv2ForObjectDetection, HGNetV2Config

BACKBONE = dict(
    stem_channels=[3, 8, 8], stage_in_channels=[8, 8, 16, 24], stage_mid_channels=[8] * 4,
    stage_out_channels=[8, 16, 24, 32], stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4,
    embedding_size=8, hidden_sizes=[8, 16, 24, 32], out_indices=[2, 3, 4],
)
REST = dict(
    encoder_in_channels=[16, 24, 32], encoder_hidden_dim=32, encoder_ffn_dim=32,
    encoder_attention_heads=2, d_model=32, decoder_in_channels=[32] * 3, decoder_ffn_dim=32,
    decoder_layers=2, decoder_attention_heads=2, num_queries=10,
)


def lost_by(share):
    torch.manual_seed(0)
    config = Deimv2Config(backbone_config=HGNetV2Config(**BACKBONE), share_bbox_head=share, **REST)
    model = Deimv2ForObjectDetection(config).eval()
    with torch.no_grad():  # as a training does
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained("saved")
    loaded, report = Deimv2ForObjectDetection.from_pretrained("saved", output_loading_info=True)
    with safe_open("saved/model.safetensors", "pt") as file:
        heads = {k.split(".layers")[0] for k in file.keys() if "bbox_embed" in k}
    weights = loaded.state_dict()
    lost = [k for k, tensor in model.state_dict().items() if not torch.equal(tensor, weights[k])]
    print(f"share_bbox_head={share}: saved {sorted(heads)}; of other values: {lost[:2]} ({len(lost)})")
    print("  report:", {name: list(keys) for name, keys in report.items()})
    return lost, any(report.values())


apart, _ = lost_by(False)
together, is_reported = lost_by(True)
sys.exit(bool(apart) or not together or is_reported)
PYTHON
"$folder/venv/bin/python" finding.py
