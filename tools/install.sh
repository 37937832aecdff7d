#!/usr/bin/env bash
# Build .venv/ from requirements/*.txt; run it again to repair or to switch stacks.
# Usage: tools/install.sh [onedl|openmmlab]     (normally through `make install`)
set -euo pipefail
cd "$(dirname "$0")/.."

stack=${1:-onedl}
case $stack in
  onedl) other=openmmlab ;;
  openmmlab) other=onedl ;;
  *) echo "install: STACK must be onedl or openmmlab, got '$stack'" >&2; exit 2 ;;
esac
venv=.venv
python=$venv/bin/python
stamp=$venv/.installed
wanted="$stack $(cat requirements/*.txt setup.py pyproject.toml tools/install.sh | cksum)"

say() { printf '[install] %s\n' "$*"; }
pip() { "$python" -m pip --disable-pip-version-check "$@"; }
names() { grep -oE '^[a-z-]+==' "requirements/$1.txt" | tr -d '='; }
works() {
  "$python" -c 'import av, gradio, hotcoco, mmcv.ops, mmdet, onnxruntime, openvino, pycocotools.mask, pytest,\
 sphinx, transformers, derain_plugin' \
    >"$venv/check.log" 2>&1 && "$venv/bin/ruff" --version >>"$venv/check.log" 2>&1 \
    && "$python" -m mypy --version >>"$venv/check.log" 2>&1
}

install_all() {
  [ -x "$python" ] || { say "creating $venv/"; "${PYTHON:-python3}" -m venv "$venv"; }
  rm -f "$stamp"
  say "1/4 torch and build tools"
  pip install -q -r requirements/torch.txt -r requirements/build.txt
  # The two stacks share import names, so only one may be present.
  pip uninstall -q -y $(names $other) 2>&1 | grep -v 'not installed' || true

  say "2/4 mmcv: takes a wheel if one is at hand, else compiles its ops (about 12 minutes on 2 cores)"
  local links=()
  [ -d ../shared/wheels ] && links=(--find-links ../shared/wheels)  # adds to pip's own list
  MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} \
    pip install -q --no-build-isolation ${links[@]+"${links[@]}"} \
    "$(grep -E '^(onedl-)?mmcv==' "requirements/$stack.txt")" -c requirements/torch.txt

  say "3/4 the $stack stack, transformers, export, the page, test and documentation tools"
  pip install -q --no-build-isolation -r "requirements/$stack.txt" -r requirements/runtime.txt \
    -r requirements/export.txt -r requirements/app.txt -r requirements/dev.txt \
    -r requirements/docs.txt \
    -c requirements/torch.txt
  pip install -q --no-deps -r requirements/rain_generators.txt
  say "4/4 derain_plugin, editable"
  # setuptools warns of folders that shadow an editable package, which this one is run beside.
  PYTHONWARNINGS=ignore pip install -q --no-deps --no-build-isolation -e .
}

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "install: Python >= 3.11 is needed; name one with PYTHON=/path/to/python3.11" >&2; exit 2; }

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && works; then
  say "$venv is up to date ($stack)"; exit 0
fi
[ -x "$python" ] && ! "$python" -m pip --version >/dev/null 2>&1 && {
  say "$venv has no working pip: starting it over"; rm -rf "$venv"; }
install_all
if ! works; then
  say "the installed packages do not import; building $venv again from nothing. They said:"
  tail -n 5 "$venv/check.log"
  rm -rf "$venv"
  install_all
  works || { cat "$venv/check.log" >&2; exit 1; }
fi
printf '%s' "$wanted" >"$stamp"
say "$venv is ready ($stack)"
