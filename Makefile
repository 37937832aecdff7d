# make install [STACK=onedl|openmmlab]   .venv/ with everything pinned
# make demo                              the whole story on embedded data: work_dirs/demo/report.md
# make test [ARGS=--cov]                 the whole suite; ARGS go to pytest
# make lint                              ruff and mypy
# make docs                              docs/_build/index.html
STACK ?= $(or $(firstword $(shell cat .venv/.installed 2>/dev/null)),onedl)

.PHONY: install demo test lint docs
install:
	@tools/install.sh $(STACK)

demo: install
	.venv/bin/python tools/demo.py

test: install
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m mypy

docs: install
	.venv/bin/python -m sphinx -q -W --keep-going docs docs/_build
	@echo docs/_build/index.html
