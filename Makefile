# Two commands on a fresh machine: `make demo` and `make test`. Both set everything up first.

CARGO ?= cargo

.PHONY: demo test setup setup-cuda build install check bench fuzz soak

# Runs the main job on generated sample digits and prints the accuracy table, where the pictures are, and where the report is.
demo: build
	./target/release/ddpipe run pipelines/quickstart.toml --report results/quickstart/report.html

# All tests. DDPIPE_DATA names a folder with mnist/ for the tests on real data; without it they say what they skip.
test: setup
	$(CARGO) test --workspace

# libtorch for the CPU, from the pinned wheels, into .libtorch/ (unless LIBTORCH or LIBTORCH_USE_PYTORCH is set).
setup:
	./stages/libtorch/setup.sh

# The same with the CUDA libraries.
setup-cuda:
	./stages/libtorch/setup.sh --cuda

build: setup
	$(CARGO) build --release --workspace

# ddpipe and ddpipe-worker into cargo's bin folder. They use the libtorch that they were built against, where it lies.
install: setup
	$(CARGO) install --locked --path .

# What CI checks besides the tests.
check: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

# Every bench, for docs/performance.md: on an idle machine. BESIDE names other programs that the engine is put beside:
# BESIDE="snakemake=/path/to/snakemake dvc=/path/to/dvc".
bench: setup
	$(CARGO) bench --bench engine
	$(CARGO) bench --bench steps
	DDPIPE_BENCH_DIR=$${DDPIPE_BENCH_DIR:-/dev/shm} $(CARGO) bench --bench scale -- 250 2000 10000 100000
	$(if $(BESIDE),$(CARGO) bench --bench scale -- 250 $(BESIDE))
	$(CARGO) bench --bench scale -- trivial

# Every reader of bytes from outside under fuzzing, so many seconds each; inputs that fail are kept in target/fuzz/.
FUZZ_SECONDS ?= 60
fuzz: export DDPIPE_FUZZ = $(FUZZ_SECONDS)
fuzz: setup
	$(CARGO) test --workspace --test fuzz -- --nocapture
	$(CARGO) test --workspace --test stages fuzz:: -- --nocapture

# The long forms of all tests that try things at random, for about SOAK hours on two cores. A part that has passed leaves
# a file in target/soak/ and does not run again until that file is removed, so that the same command continues.
SOAK ?= 1
SOAKED := target/soak/$(SOAK)h
PARTS := cache together kills races determinism fuzz-engine fuzz-stages
soak: setup
	@$(MAKE) --no-print-directory --keep-going $(PARTS:%=$(SOAKED)/%) || true
	@./tests/soak.sh table $(SOAKED) $(PARTS)

$(SOAKED)/cache:
	@DDPIPE_SOAK=$$(($(SOAK) * 8)) ./tests/soak.sh part $@ $(CARGO) test --workspace --lib harness
$(SOAKED)/together:
	@DDPIPE_SOAK=$$(($(SOAK) * 20000)) ./tests/soak.sh part $@ $(CARGO) test --workspace --test engine together::
$(SOAKED)/kills:
	@DDPIPE_SOAK=$$(($(SOAK) * 600)) ./tests/soak.sh part $@ $(CARGO) test --workspace --test command kills::
$(SOAKED)/races:
	@DDPIPE_SOAK=$$(($(SOAK) * 200)) ./tests/soak.sh part $@ $(CARGO) test --workspace --test command races::
$(SOAKED)/determinism:
	@DDPIPE_SOAK=1 ./tests/soak.sh part $@ $(CARGO) test --workspace --test stages kinds::determinism::
$(SOAKED)/fuzz-engine:
	@DDPIPE_FUZZ=$$(($(SOAK) * 60)) ./tests/soak.sh part $@ $(CARGO) test --workspace --test fuzz
$(SOAKED)/fuzz-stages:
	@DDPIPE_FUZZ=$$(($(SOAK) * 60)) ./tests/soak.sh part $@ $(CARGO) test --workspace --test stages fuzz::
