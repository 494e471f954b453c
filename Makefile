# What people and machines run. `make test` is the whole check, from a fresh clone.
NEXTEST_VERSION := 0.9.143
export CARGO_TERM_COLOR ?= never

# The AWS emulator that tests start (tests/aws-emulator/README.md): built once, kept here.
export AWS_EMULATOR_DIR ?= $(CURDIR)/target/aws-emulator
EMULATOR := tests/aws-emulator
EMULATOR_SOURCES := $(EMULATOR)/Cargo.lock $(EMULATOR)/Cargo.toml $(sort $(wildcard $(EMULATOR)/src/*.rs))

# AWS's JavaScript clients, for tests that use nothing of sealpost; without node those are skipped.
export AWS_NODE_DIR ?= $(CURDIR)/target/node-clients
NODE := tests/node

.PHONY: test fmt lint emulator node-clients

test: fmt lint emulator node-clients
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version $(NEXTEST_VERSION)
	cargo nextest run --locked

fmt:
	cargo fmt --all --check
	cargo fmt --manifest-path $(EMULATOR)/Cargo.toml --check

lint:
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings

# Keyed on the content of its sources, not on their dates: a fresh clone with a kept folder builds nothing.
emulator:
	@key=$$(cat $(EMULATOR_SOURCES) | cksum); \
	if [ "$$key" != "$$(cat $(AWS_EMULATOR_DIR)/key 2>/dev/null)" ] || [ ! -x $(AWS_EMULATOR_DIR)/aws-emulator ]; then \
		cargo build --release --locked --manifest-path $(EMULATOR)/Cargo.toml --target-dir $(AWS_EMULATOR_DIR)/build && \
		cp $(AWS_EMULATOR_DIR)/build/release/aws-emulator $(AWS_EMULATOR_DIR)/ && \
		echo "$$key" > $(AWS_EMULATOR_DIR)/key; \
	fi

node-clients:
	@if command -v npm >/dev/null && ! cmp -s $(NODE)/package-lock.json $(AWS_NODE_DIR)/installed.json; then \
		mkdir -p $(AWS_NODE_DIR) && cp $(NODE)/package.json $(NODE)/package-lock.json $(AWS_NODE_DIR)/ && \
		npm ci --no-audit --no-fund --prefix $(AWS_NODE_DIR) && \
		cp $(NODE)/package-lock.json $(AWS_NODE_DIR)/installed.json; \
	fi
