# One command each: `make demo`, `make test`, `make lint`. Everything happens in .venv, which they make when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IMAGES := datasets/shapes/val

.PHONY: setup horovod demo demo-keypoints test test-all lint mutants fuzz bench clean

setup: $(VENV)/ready

$(VENV)/ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 9) <= v <= (3, 12) or sys.exit( \
		"make setup: Python 3.9 to 3.12 is needed for TensorFlow 2.18, this is %d.%d; run make setup PYTHON=python3.11, say" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -r requirements-dev.txt
	@touch $@

horovod: $(VENV)/horovod

# pip's cache may hold a Horovod that was built against another TensorFlow
$(VENV)/horovod: $(VENV)/ready requirements-horovod.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off 'cmake<4' 'setuptools<81' wheel
	PATH="$(CURDIR)/$(BIN):$$PATH" HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 \
		HOROVOD_WITH_GLOO=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
		--no-cache-dir --no-build-isolation -r requirements-horovod.txt
	$(BIN)/python -c 'import horovod.tensorflow as hvd; hvd.gloo_built() or exit("Horovod was built without Gloo")'
	@touch $@

# its batch and learning rate are for one device, so it takes the first GPU where there are more
demo demo-keypoints: export CUDA_VISIBLE_DEVICES ?= 0
demo demo-keypoints: RUN = train_log/$@
demo demo-keypoints: $(VENV)/ready
	$(BIN)/python train.py --logdir $(RUN) --overwrite --config @configs/$@.cfg
	$(BIN)/python predict.py --load $(RUN) --predict $(IMAGES)/*0[0-9].jpg --output $(RUN)/pictures
	@echo "Pictures: $(RUN)/pictures    Metrics: $(RUN)/eval.json    Curves: $(BIN)/tensorboard --logdir $(RUN)"

# one process takes all tests of a file, so that they share what its fixtures build
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

# what every commit runs
test: $(VENV)/ready
	$(PYTEST) -m "not slow"

# and what is slow by nature: every config built, kills, jobs of several ranks, full-size networks. Files that take
# longest begin first, so that none of them is alone in the end
LONGEST := tests/distributed/test_jobs.py tests/test_configs.py tests/modeling/test_golden.py tests/test_train.py
test-all: test
	$(PYTEST) --no-loadscope-reorder -m slow $(LONGEST) \
		$(filter-out $(LONGEST),$(sort $(shell find tests -name 'test_*.py')))

lint: $(VENV)/ready
	$(BIN)/ruff check

# breaks the program in many places, one at a time; the tests must notice
mutants: $(VENV)/ready
	$(BIN)/python tests/mutants.py

# 10,000 broken annotation files, which must be read, or refused in one line
fuzz: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python tests/fuzz_annotations.py --cases 10000 --seed 0
	PYTHONPATH=. $(BIN)/python tests/fuzz_images.py --cases 5000 --seed 0

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.predict
	$(BIN)/python -m benchmarks.traffic

clean:
	rm -rf $(VENV) train_log datasets/shapes .pytest_cache .ruff_cache .hypothesis .mutants
	find . -name __pycache__ -prune -exec rm -rf {} +
