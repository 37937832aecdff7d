#!/usr/bin/env bash
# Run what depends on transformers' detectors with another of its releases, installed beside .venv/.
# Usage: tools/test_with_transformers.sh [VERSION] [pytest's arguments]
#        VERSION: by default the oldest that setup.py allows
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-$(sed -n 's/.*"transformers>=\([0-9.]*\)".*/\1/p' setup.py)}
shift || true
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.venv/bin/python -m pip --disable-pip-version-check install -q --no-deps --target "$folder" \
  "transformers==$version"
export PYTHONPATH=$folder${PYTHONPATH:+:$PYTHONPATH}
.venv/bin/python -c 'import transformers; print("transformers", transformers.__version__)'
.venv/bin/python -m pytest -n 2 --dist loadfile -m "not slow" -p no:cacheprovider \
  tests/models tests/hf tests/export tests/adapting "$@"
