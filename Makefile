# Two commands on a fresh machine: `make demo` and `make test`. Both set everything up first.

CARGO ?= cargo

.PHONY: demo test setup setup-cuda build install check soak

# Runs the main job on generated sample digits and prints the accuracy table and where the pictures are.
demo: build
	./target/release/ddpipe run pipelines/quickstart.toml

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

# The long forms of the cache's harnesses (docs/reliability.md), DDPIPE_SOAK times the quick size, with their summaries.
soak:
	DDPIPE_SOAK=$${DDPIPE_SOAK:-8} $(CARGO) test -p ddpipe-cache --lib harness -- --nocapture
