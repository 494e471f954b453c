# What people and machines run. `make test` is the whole check, from a fresh clone.
NEXTEST_VERSION := 0.9.143
export CARGO_TERM_COLOR ?= never

# The AWS emulator that tests start (tests/aws-emulator/README.md): built once, kept here.
export AWS_EMULATOR_DIR ?= $(CURDIR)/target/aws-emulator
EMULATOR := tests/aws-emulator
EMULATOR_SOURCES := $(EMULATOR)/Cargo.lock $(EMULATOR)/Cargo.toml $(sort $(wildcard $(EMULATOR)/src/*.rs))

# Producers that use nothing of ours, with the SDKs of other languages.
export PRODUCERS_DIR ?= $(CURDIR)/target/producers
PRODUCERS := tests/producers
# Writers of secrets in TypeScript, compiled beside them.
WRITERS := fixtures/writers

# Receivers that use nothing of ours, with the libraries that receivers use.
export RECEIVERS_DIR ?= $(CURDIR)/target/receivers
RECEIVERS := tests/receivers

# The description of what is deployed on AWS: compiled, tested and written out as a template.
export INFRA_DIR ?= $(CURDIR)/target/infra
INFRA := infra

# A fuzzer of HTTP APIs, which reads our OpenAPI document.
export FUZZER_DIR ?= $(CURDIR)/target/fuzzer
FUZZER := tests/api/fuzzer.txt

.PHONY: test bench soak fmt lint emulator producers receivers fuzzer infra

test: fmt lint emulator producers receivers fuzzer infra
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version $(NEXTEST_VERSION)
	cargo nextest run --locked

bench: emulator
	cargo bench --locked --bench delivery
	cargo bench --locked --bench auth
	cargo bench --locked --bench transform
	cargo bench --locked --bench vault
	cargo bench --locked --bench api
	cargo bench --locked --bench limits
	cargo bench --locked --bench isolation

# SOAK_SECONDS and SOAK_SEED set how long it runs and what is random in it.
soak: emulator
	cargo bench --locked --bench soak

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

# Programs of others: $(1) is installed into $(2), with the exact versions of its lock files.
define install
	@mkdir -p $(2) && cp -R $(1)/* $(2)/
	@key=$$(cat $(1)/package-lock.json $(1)/requirements.txt | cksum); \
	if [ "$$key" != "$$(cat $(2)/key 2>/dev/null)" ]; then \
		npm ci --silent --no-audit --no-fund --prefix $(2) && \
		python3 -m venv $(2)/venv && \
		$(2)/venv/bin/pip install --quiet --disable-pip-version-check --requirement $(1)/requirements.txt && \
		echo "$$key" > $(2)/key; \
	fi
endef

producers:
	$(call install,$(PRODUCERS),$(PRODUCERS_DIR))
	@mkdir -p $(PRODUCERS_DIR)/writers && cp $(WRITERS)/* $(PRODUCERS_DIR)/writers/
	@$(PRODUCERS_DIR)/node_modules/.bin/tsc --project $(PRODUCERS_DIR)/writers

receivers:
	$(call install,$(RECEIVERS),$(RECEIVERS_DIR))

infra:
	$(call install,$(INFRA),$(INFRA_DIR))
	@cd $(INFRA_DIR) && node_modules/.bin/tsc && node --test test/*.test.js > test.log || { cat test.log; exit 1; }
	@cd $(INFRA_DIR) && node lib/app.js $(INFRA_DIR)/cdk.out > synth.log 2>&1 || { cat synth.log; exit 1; }
	@$(INFRA_DIR)/venv/bin/cfn-lint $(INFRA_DIR)/cdk.out/Sealpost.template.json

fuzzer:
	@mkdir -p $(FUZZER_DIR)
	@key=$$(cksum < $(FUZZER)); \
	if [ "$$key" != "$$(cat $(FUZZER_DIR)/key 2>/dev/null)" ]; then \
		python3 -m venv $(FUZZER_DIR)/venv && \
		$(FUZZER_DIR)/venv/bin/pip install --quiet --disable-pip-version-check --requirement $(FUZZER) && \
		echo "$$key" > $(FUZZER_DIR)/key; \
	fi
