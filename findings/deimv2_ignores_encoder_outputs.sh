#!/usr/bin/env bash
# Finding: DEIMv2 of transformers takes encoder_outputs= and computes them anew all the same; D-FINE,
# of which it is made, uses them.
#
# Versions: transformers 5.24.0, torch 2.13.0, Python 3.11.
# Valid input: pixel_values together with encoder_outputs, an argument of forward in both models; the
# outputs are those of the model's own encoder, times two.
# Right: another encoder output gives other boxes.
# Seen: no difference at all, no warning, and the encoder runs:
#
#     D-FINE: the encoder ran 0 times, boxes moved True
#     DEIMv2: the encoder ran 1 times, boxes moved False
#
# Who caches the encoder's features, or cleans them, must put a module in front of or behind the
# encoder instead. Ours does (FeatureDerainRTDetr; tests/hf/test_derained_deimv2.py).
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
from transformers import (
    Deimv2Config, Deimv2ForObjectDetection, DFineConfig, DFineForObjectDetection, HGNetV2Config,
)

BACKBONE = HGNetV2Config(
    stem_channels=[3, 8, 8], stage_in_channels=[8, 8, 16, 24], stage_mid_channels=[8] * 4,
    stage_out_channels=[8, 16, 24, 32], stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4,
    embedding_size=8, hidden_sizes=[8, 16, 24, 32], out_indices=[2, 3, 4],
)
REST = dict(
    backbone_config=BACKBONE, encoder_in_channels=[16, 24, 32], encoder_hidden_dim=32,
    encoder_ffn_dim=32, encoder_attention_heads=2, d_model=32, decoder_in_channels=[32] * 3,
    decoder_ffn_dim=32, decoder_layers=2, decoder_attention_heads=2, num_queries=10,
)


def behaviour(config, detector):
    torch.manual_seed(0)
    model = detector(config(**REST)).eval()
    with torch.no_grad():  # fresh box heads say the same everywhere
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        pixels, seen = torch.randn(1, 3, 128, 128), []
        hook = model.model.encoder.register_forward_hook(lambda *call: seen.append(call[-1]))
        before = model(pixels)
        other = seen.pop()
        name = "feature_maps" if hasattr(other, "feature_maps") else "last_hidden_state"
        other[name] = [2 * each for each in other[name]]
        after = model(pixels, encoder_outputs=other)
        hook.remove()
    return len(seen), not torch.equal(before.pred_boxes, after.pred_boxes)


found = {
    "D-FINE": behaviour(DFineConfig, DFineForObjectDetection),
    "DEIMv2": behaviour(Deimv2Config, Deimv2ForObjectDetection),
}
for name, (runs, moved) in found.items():
    print(f"{name}: the encoder ran {runs} times, boxes moved {moved}")
sys.exit(found != {"D-FINE": (0, True), "DEIMv2": (1, False)})
PYTHON
"$folder/venv/bin/python" finding.py
