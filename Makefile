# `make demo` and `make test` need nothing but Python (3.10 to 3.13) and make.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# one thread per process by default: small matrices gain nothing from more, and busy machines lose a lot
export OMP_NUM_THREADS ?= 1

# processes that test side by side
JOBS ?= 2

.PHONY: demo test test-long install clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.py $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c requirements/constraints-cpu.txt -e ".[onedl,tests]" onedl-mmpretrain
# torchvision stops every program beside a torch without CUDA; tests/conftest.py alone knows how to import it
	$(BIN)/python -m pip install --quiet -c requirements/constraints-cpu.txt --no-deps --target $(VENV)/torchvision-for-tests torchvision
	touch $@

demo: install
	$(BIN)/python tools/train.py configs/picie/picie_fpn_demo.py --restart

test: install
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-long: install
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m long

clean:
	rm -rf $(VENV) build *.egg-info mmseg_unsup/.mim
