# make install [STACK=onedl|openmmlab]   .venv/ with everything pinned
# make demo                              the whole story on embedded data: work_dirs/demo/report.md
# make test [ARGS=--cov]                 the everyday tests, under ten minutes; ARGS go to pytest
# make test-all [ARGS=...]               all tests: kills, ranks, wheel, browser, projects, long fuzz
# make test-transformers [VERSION=5.18]  its detectors, by default in the oldest supported release
# make lint                              ruff and mypy
# make docs                              docs/_build/index.html
STACK ?= $(or $(firstword $(shell cat .venv/.installed 2>/dev/null)),onedl)
PYTEST = .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: install demo test test-all test-transformers lint docs
install:
	@tools/install.sh $(STACK)

demo: install
	.venv/bin/python tools/demo.py

test: install
	$(PYTEST) -m "not slow" tests $(ARGS)

test-all: install
	$(PYTEST) $(ARGS)

test-transformers: install
	tools/test_with_transformers.sh $(VERSION)

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m mypy

docs: install
	.venv/bin/python -m sphinx -q -W --keep-going docs docs/_build
	@echo docs/_build/index.html
