# Two commands do everything on a fresh machine: `make serve` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The engines that need torch have an environment of their own: what does not need torch is tested without it.
TORCH_VENV := .venv-torch
TORCH_BIN  := $(TORCH_VENV)/bin
TORCH_PIP  := $(TORCH_BIN)/python -m pip --disable-pip-version-check --quiet
# Versions known to work together; only what the extras ask for is installed.
CONSTRAINTS := $(if $(wildcard constraints.txt),--constraint constraints.txt)
TORCH_TESTS := tests/torch
# Which build of torch the tests need: cpu, cuda, or auto, which is cuda where there is an NVIDIA driver.
TORCH ?= auto
# How many processes run tests in parallel: auto is three for two cores, 0 runs them in pytest's own process.
# The tests of a file stay in one process, as they share servers.
WORKERS ?= auto
PYTEST_WORKERS := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help serve serve-torch test test-base test-torch test-all coverage check format lint types docs bench bench-engines bento clean system fuzz

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/pyvenv.cfg $(TORCH_VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(@D)

$(VENV)/.server: pyproject.toml $(wildcard constraints.txt) | $(VENV)/pyvenv.cfg
	$(PIP) install $(CONSTRAINTS) --editable '.[server]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(wildcard constraints.txt) | $(VENV)/pyvenv.cfg
	@echo "Installing into $(VENV) what the tests need: about 1.5 GB."
	$(PIP) install $(CONSTRAINTS) --editable '.[dev]'
	@touch $@ $(VENV)/.server

# Made again when another build is asked for.
$(TORCH_VENV)/.torch-$(TORCH): pyproject.toml $(wildcard constraints.txt) | $(TORCH_VENV)/pyvenv.cfg
	@echo "Installing into $(TORCH_VENV) what the engines with torch need: about 3 GB with torch's CPU build,"
	@echo "some gigabytes more with CUDA. TORCH=cpu takes no other than a CPU build; \`make test-base\` does"
	@echo "without torch."
	@$(TORCH_BIN)/python scripts/torch_build.py $(TORCH)
	@rm -f $(TORCH_VENV)/.torch-* && touch $@

$(TORCH_VENV)/.dev: pyproject.toml $(wildcard constraints.txt) | $(TORCH_VENV)/.torch-$(TORCH)
	$(TORCH_PIP) install $(CONSTRAINTS) --editable '.[dev,xtts,openvoice]'
	@touch $@

system:
	@bash scripts/system_packages.sh ffmpeg espeak-ng redis-server

# The first start fetches KOKORO's weights; where it cannot, it says so, the server speaks without, and a start
# after a day tries again.
serve: $(VENV)/.server  ## start the server, ready to speak
	@$(BIN)/awaaztwin models pull kokoro --once
	$(BIN)/awaaztwin serve

serve-torch: $(TORCH_VENV)/.dev  ## start the server with the engines that need torch installed
	$(TORCH_BIN)/awaaztwin serve

test: test-base test-torch  ## run the tests without the slow ones, in parallel; one by one with WORKERS=0

test-base: $(VENV)/.dev system  ## the tests of all that works without torch
	$(BIN)/python -m pytest $(PYTEST_WORKERS) -m "not slow"

test-torch: $(TORCH_VENV)/.dev  ## the tests of the engines that need torch
	$(TORCH_BIN)/python -m pytest $(PYTEST_WORKERS) -m "not slow" $(TORCH_TESTS)

# A test that fails once and then passes is named at the end ("flaky: …") instead of failing everything.
test-all: $(VENV)/.dev $(TORCH_VENV)/.dev system  ## run all tests; a failed one once more
	$(BIN)/python -m pytest $(PYTEST_WORKERS) --reruns 1
	$(TORCH_BIN)/python -m pytest $(PYTEST_WORKERS) --reruns 1 $(TORCH_TESTS)

# Apart from what CI runs: it makes the tests take a third longer.
coverage: $(VENV)/.dev $(TORCH_VENV)/.dev system  ## run all tests and show which lines and branches none reaches
	$(BIN)/python -m pytest $(PYTEST_WORKERS) --cov --cov-report=term:skip-covered
	$(TORCH_BIN)/python -m pytest $(PYTEST_WORKERS) --cov --cov-report=term:skip-covered $(TORCH_TESTS)

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev  ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(TORCH_VENV)/.dev  ## pyright, strict
	$(TORCH_BIN)/pyright --pythonpath $(TORCH_BIN)/python

docs: $(VENV)/.dev  ## generated documents are up to date
	$(BIN)/python scripts/config_docs.py --check
	$(BIN)/python scripts/openapi.py --check
	$(BIN)/python scripts/rooms.py --check

check: lint types docs test-all  ## what CI runs

# `make test-all` gives each of them a few seconds.
fuzz: $(VENV)/.dev  ## fuzz the parsers and the routes, three minutes each
	AWAAZTWIN_TEST_FUZZ_SECONDS=180 $(BIN)/python -m pytest -m slow tests/services/test_fuzzing.py \
	  tests/engines/text/test_text_fuzzing.py tests/services/tenancy/test_tenancy_fuzz.py

bench: $(VENV)/.dev  ## measure: latency, throughput, overhead, fair shares, tenancy, voices, memory
	$(BIN)/python benchmarks/speech.py

bench-engines: $(TORCH_VENV)/.dev  ## measure XTTS and OpenVoice beside stock coqui-tts
	$(TORCH_BIN)/python benchmarks/models.py

# uv makes the Bento's lock: the versions known to work together, not the newest of the day.
bento: $(VENV)/.server  ## build the Bento
	UV_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/bentoml build

clean:  ## remove the environment and what the tools left
	rm -rf $(VENV) $(TORCH_VENV) .pytest_cache .ruff_cache .hypothesis .coverage* build dist
