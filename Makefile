# `make demo` and `make test` need nothing but Python (3.10 to 3.13) and make.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# one thread per process by default: small matrices gain nothing from more, and busy machines lose a lot
export OMP_NUM_THREADS ?= 1

# processes that test side by side
JOBS ?= 2

.PHONY: demo test test-long test-gpu install clean

# packages of a few tests only, beside the environment that the documents tell to install
EXTRA := $(VENV)/mmpretrain-for-tests

install: $(VENV)/.installed
	@echo 'installed in $(VENV); to use it in this shell: . $(BIN)/activate'

$(VENV)/.installed: setup.py pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c requirements/constraints-cpu.txt -e ".[onedl,tests]"
# torchvision as published does not fit a torch for CPUs; tests/mmpretrain_pair.py completes it
	$(BIN)/python -m pip install --quiet --no-warn-script-location --prefix $(EXTRA) -c requirements/constraints-cpu.txt -r requirements/mmpretrain.txt
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python tools/train.py configs/picie/picie_fpn_demo.py --restart

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-long: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m long

# of a torch that fits the GPU; nothing is installed
GPU_PYTHON ?= python3

# the report follows whether or not the tests pass
test-gpu: export PYTHONPATH := $(CURDIR):$(PYTHONPATH)
test-gpu:
	@$(GPU_PYTHON) -m pytest -m gpu tests/test_gpu; tests=$$?; \
	$(GPU_PYTHON) tools/analysis_tools/gpu_report.py && exit $$tests

clean:
	rm -rf $(VENV) build *.egg-info mmseg_unsup/.mim
