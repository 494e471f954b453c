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

# A browser's driver and an examiner of accessibility, for the console. The browser is the system's Chromium.
export BROWSER_DIR ?= $(CURDIR)/target/browser
BROWSER := tests/browser

# A fuzzer of HTTP APIs, which reads our OpenAPI document.
export FUZZER_DIR ?= $(CURDIR)/target/fuzzer
FUZZER := tests/api/fuzzer.txt

# An AWS account in an emulator that has EventBridge, for the importer.
export EVENTBRIDGE_DIR ?= $(CURDIR)/target/eventbridge
EVENTBRIDGE := tests/eventbridge/requirements.txt

.PHONY: test bench bench-check bench-counts soak fmt lint emulator producers receivers fuzzer eventbridge infra browser

test: fmt lint emulator producers receivers fuzzer eventbridge infra browser
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version $(NEXTEST_VERSION)
	cargo nextest run --locked

bench: emulator
	cargo bench --locked --bench delivery
	cargo bench --locked --bench stages
	cargo bench --locked --bench auth
	cargo bench --locked --bench transform
	cargo bench --locked --bench vault
	cargo bench --locked --bench api
	cargo bench --locked --bench lists
	cargo bench --locked --bench limits
	cargo bench --locked --bench isolation

# Instructions of each stage against benches/counts.json: what no noise of the machine hides. Needs valgrind.
bench-check:
	cargo bench --locked --bench counts

bench-counts:
	cargo bench --locked --bench counts -- --renew

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
	@cd $(INFRA_DIR) && for variant in variants/*.json; do \
		CDK_CONTEXT_JSON="$$(cat $$variant)" node lib/app.js $(INFRA_DIR)/cdk.out/$$variant > synth.log 2>&1 || { cat synth.log; exit 1; }; \
	done
	@# W3005: the CDK writes dependencies that follow from references, too.
	@$(INFRA_DIR)/venv/bin/cfn-lint --ignore-checks W3005 -- $(INFRA_DIR)/cdk.out/Sealpost.template.json $(INFRA_DIR)/cdk.out/variants/*/Sealpost.template.json

# A Python program: the requirements in the file $(1) are installed into $(2).
define install_python
	@mkdir -p $(2)
	@key=$$(cksum < $(1)); \
	if [ "$$key" != "$$(cat $(2)/key 2>/dev/null)" ]; then \
		python3 -m venv $(2)/venv && \
		$(2)/venv/bin/pip install --quiet --disable-pip-version-check --requirement $(1) && \
		echo "$$key" > $(2)/key; \
	fi
endef

fuzzer:
	$(call install_python,$(FUZZER),$(FUZZER_DIR))

eventbridge:
	$(call install_python,$(EVENTBRIDGE),$(EVENTBRIDGE_DIR))

browser:
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	} || { echo 'the tests of the console need Chromium: install the package `chromium`' >&2; exit 1; }
	@mkdir -p $(BROWSER_DIR) && cp $(BROWSER)/* $(BROWSER_DIR)/
	@key=$$(cksum < $(BROWSER)/package-lock.json); \
	if [ "$$key" != "$$(cat $(BROWSER_DIR)/key 2>/dev/null)" ]; then \
		PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund --prefix $(BROWSER_DIR) && \
		echo "$$key" > $(BROWSER_DIR)/key; \
	fi
