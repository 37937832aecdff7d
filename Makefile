# make install [STACK=onedl|openmmlab]   .venv/ with everything pinned
# make test                              the whole suite
# make lint                              ruff and mypy
STACK ?= $(or $(firstword $(shell cat .venv/.installed 2>/dev/null)),onedl)

.PHONY: install test lint
install:
	@tools/install.sh $(STACK)

test: install
	.venv/bin/python -m pytest

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m mypy
