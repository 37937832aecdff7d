#!/usr/bin/env bash
# Finding: the hybrid encoder of RT-DETR, RT-DETRv2, D-FINE and DEIMv2 in transformers writes into the
# list of features that it is given, so that a second call on the same list gives something else.
#
# Versions: transformers 5.24.0, torch 2.13.0, Python 3.11.
# Valid input: a list of maps for the encoder, as its docstring asks for; eval mode, no gradients.
# Right: features that were computed once serve two calls: to time the encoder, to run it before and
# after its weights changed, or to compare it with one of another runtime.
# Seen: after the first call the last map is the attention's output. With weights moved as by training:
#
#     RTDetr:    a list's last map has changed True, a second call agrees False, on a copy True
#     RTDetrV2:  the same; DFine: the same; Deimv2: the same
#
# Ours: RTDETRHybridEncoder takes a tuple and leaves it as it is (tests/models/necks/test_rtdetr_hybrid_encoder.py).
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
    Deimv2Config, Deimv2Model, DFineConfig, DFineModel, HGNetV2Config, RTDetrConfig, RTDetrModel,
    RTDetrV2Config, RTDetrV2Model,
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


def maps_of(output):
    return getattr(output, "feature_maps", None) or output.last_hidden_state


def behaviour(config, model):
    torch.manual_seed(0)
    encoder = model(config(**REST)).eval().encoder
    for parameter in encoder.parameters():  # fresh attention does next to nothing
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    features = [torch.randn(1, 32, size, size) for size in (16, 8, 4)]
    kept, last = list(features), features[-1].clone()
    with torch.no_grad():
        first, second, copied = (maps_of(encoder(each)) for each in (features, features, list(kept)))
    agree = lambda maps: all(torch.allclose(a, b, atol=1e-6) for a, b in zip(first, maps))
    return not torch.equal(features[-1], last), agree(second), agree(copied)


PAIRS = dict(
    RTDetr=(RTDetrConfig, RTDetrModel), RTDetrV2=(RTDetrV2Config, RTDetrV2Model),
    DFine=(DFineConfig, DFineModel), Deimv2=(Deimv2Config, Deimv2Model),
)
seen = {name: behaviour(*pair) for name, pair in PAIRS.items()}
for name, (changed, second, copied) in seen.items():
    print(f"{name}: a list's last map has changed {changed}, a second call agrees {second}, "
          f"on a copy {copied}")
sys.exit(any(each != (True, False, True) for each in seen.values()))
PYTHON
"$folder/venv/bin/python" finding.py
