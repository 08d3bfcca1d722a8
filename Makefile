# make demo      set up what is missing, load the demo into the workspace, serve the app
# make test      set up what is missing, run the tests (browser and PostgreSQL tests where those are installed)
# make lint      ruff and mypy
# make test-slow the tests that take minutes
# make bench-eval  our scorer against lm-evaluation-harness, in an environment of its own (docs/benchmarks.md)
# make bench-train  our training step against a plain loop and TRL's GKDTrainer (about 11 minutes)
# make bench-growth  cost and memory of our evaluation by number of rows
# make bench-history  the pairwise NFR matrix of many versions against one bare NumPy pass (half a minute)
# make bench-compare  comparing two stored runs of a million samples against reading them (about 2 minutes)
# make bench-pages  the first view of every page over a million samples against a thousand, in Chromium (about 8 minutes)
# make bench-sessions  20 browser sessions at once for three minutes: errors, figures, latency, memory
# make screenshots  pictures of every page for the documentation (docs/images)
# make logs  the real lm-eval and Inspect logs that the tests of imports read
# make rebuild-demo  make the demo's weights again from nothing (about 20 minutes)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PORT ?= 8501

BENCH := .venv-bench
BENCH_STAMP := $(BENCH)/.installed
BENCH_TRAIN_STAMP := $(BENCH)/.installed-train
ARGS ?=
# Test files side by side, in the order of tests/conftest.py: much of their time they wait for other processes, so that
# one more than there are cores keeps two cores busy.
PROCESSES := $(shell test "$$(nproc 2>/dev/null || echo 2)" -ge 3 && echo 4 || echo 3)
SIDE_BY_SIDE := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow lint rebuild-demo bench-eval bench-train bench-growth bench-history bench-compare bench-pages bench-sessions screenshots logs clean

# torch first and alone: it decides which build the other packages are resolved against.
$(STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed: make … PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(DEV_STAMP): $(STAMP) $(wildcard requirements-*.txt)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(BENCH_STAMP): requirements.txt benchmarks/eval/requirements.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r benchmarks/eval/requirements.txt
	touch $@

$(BENCH_TRAIN_STAMP): requirements.txt benchmarks/train/requirements.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r benchmarks/train/requirements.txt
	touch $@

demo: $(STAMP)
	$(RUN) -m muscle_core demo
	@echo
	@echo "The workbench is at http://127.0.0.1:$(PORT) (Ctrl-C ends it)"
	$(RUN) -m streamlit run app.py --server.port $(PORT)

test: $(DEV_STAMP)
	$(RUN) -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-slow: $(DEV_STAMP)
	$(RUN) -m pytest -m slow

lint: $(DEV_STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

rebuild-demo: $(STAMP)
	$(RUN) -m muscle_core demo --rebuild

bench-eval: $(BENCH_STAMP)
	$(BENCH)/bin/python benchmarks/eval/run.py $(ARGS)

bench-train: $(BENCH_TRAIN_STAMP)
	$(BENCH)/bin/python -m benchmarks.train.run $(ARGS)

bench-growth: $(STAMP)
	$(RUN) benchmarks/eval/growth.py $(ARGS)

bench-history: $(STAMP)
	$(RUN) benchmarks/history/run.py $(ARGS)

bench-compare: $(STAMP)
	$(RUN) -m benchmarks.compare.run $(ARGS)

bench-pages: $(DEV_STAMP)
	$(RUN) -m benchmarks.pages.run $(ARGS)

bench-sessions: $(DEV_STAMP)
	$(RUN) -m benchmarks.sessions.run $(ARGS)

screenshots: $(DEV_STAMP)
	$(RUN) docs/screenshots.py $(ARGS)

logs: $(BENCH_STAMP) $(DEV_STAMP)
	$(BENCH)/bin/python benchmarks/logs/make_logs.py lm-eval --work $(BENCH)/logs
	$(RUN) benchmarks/logs/make_logs.py inspect --work $(BENCH)/logs

clean:
	rm -rf $(VENV) $(BENCH) .pytest_cache .mypy_cache .ruff_cache .hypothesis
