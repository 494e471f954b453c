# What people and machines run. `make test` is the whole check, from a fresh clone.
NEXTEST_VERSION := 0.9.143
export CARGO_TERM_COLOR ?= never

.PHONY: test bench fmt lint

test: fmt lint
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version $(NEXTEST_VERSION)
	cargo nextest run --locked

bench:
	cargo bench --locked --bench delivery

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --locked --all-targets -- -D warnings
