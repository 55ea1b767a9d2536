# make demo, make test: what the README promises. make bench, make soak: longer. make install: for C.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
VENV := $(CURDIR)/.venv
INTEROP := $(CURDIR)/.venv-interop
PYTHON ?= python3
TOOLS := $(CURDIR)/.tools
LOGS := $(TARGET)/test-logs
CARGO_C := 0.10.24+cargo-0.98.0
# Each built apart: cargo unites the features of what is built together, and the bench asks more of the codec.
RUST := --workspace --exclude iothub-bench --exclude iothub-mqtt-python
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: demo test lint rust python page interop c-packages bench soak header install wheel clean system-packages cargo-c
demo: $(VENV)/installed
	cargo build --package iothub-emulator --package iothub-mqtt-ffi
	$(CC) -std=c11 -Wall -Wextra -O2 -Iinclude -o $(TARGET)/debug/telemetry examples/c/telemetry.c \
		-L$(TARGET)/debug -Wl,-rpath,$(TARGET)/debug -liothub_mqtt -lpthread
	$(PYTHON) examples/demo.py $(TARGET)/debug/iothub-emulator $(TARGET)/debug/telemetry $(VENV)/bin/python

test: lint rust python page interop c-packages demo
	@cat $(LOGS)/*.log | awk '/^test result:/ { passed += $$4; failed += $$6 } \
		/^[0-9]+ passed.* in [0-9.]+s/ { passed += $$1 } \
		END { print passed " passed, " failed + 0 " failed" }'

lint: system-packages
	cargo fmt --all --check
	cargo clippy $(RUST) --all-targets --locked -- --deny warnings
	cargo clippy --package iothub-bench --package iothub-mqtt-python --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS=--deny=warnings cargo doc --package iothub-mqtt --package iothub-emulator --no-deps --locked

rust: system-packages
	@mkdir -p $(LOGS)
	cargo test $(RUST) --locked 2>&1 | tee $(LOGS)/rust.log
	cargo test --package iothub-bench --locked 2>&1 | tee $(LOGS)/bench.log

python: $(VENV)/installed
	@mkdir -p $(LOGS)
	cargo build --package iothub-emulator --locked
	$(MAKE) -C python test TARGET=$(TARGET) VENV=$(VENV) 2>&1 | tee $(LOGS)/python.log

# The official SDKs for Python, unmodified, against the local hub.
interop: $(INTEROP)/installed
	@mkdir -p $(LOGS)
	cargo build --package iothub-emulator --locked
	IOTHUB_EMULATOR=$(TARGET)/debug/iothub-emulator tests/interop/run.sh $(INTEROP)/bin/python --quiet --numprocesses 4 \
		2>&1 | tee $(LOGS)/interop.log

# The page of the local hub, in a browser.
page: $(VENV)/page-installed system-packages
	@mkdir -p $(LOGS)
	cargo build --package iothub-emulator --locked
	IOTHUB_EMULATOR=$(TARGET)/debug/iothub-emulator $(VENV)/bin/pytest --quiet tests/page 2>&1 | tee $(LOGS)/page.log

# The library as a distribution would install it, and programs built against that.
c-packages: cargo-c
	cargo build --package iothub-emulator --locked
	tests/c/installed.sh $(TARGET)

bench:
	$(MAKE) -C bench

soak: system-packages
	IOTHUB_SOAK=1 PROPTEST_CASES=200000 \
		cargo test $(RUST) --locked -- --nocapture

header:
	IOTHUB_WRITE_HEADER=1 cargo test --package iothub-mqtt-ffi --test header

PREFIX ?= /usr/local
install: cargo-c
	cargo cinstall --release --package iothub-mqtt-ffi --prefix $(PREFIX) $(if $(DESTDIR),--destdir $(DESTDIR))

wheel: $(VENV)/installed
	$(MAKE) -C python wheel TARGET=$(TARGET) VENV=$(VENV)

# Programs of Debian's that the tests stand on.
PACKAGES := curl valgrind strace mosquitto mosquitto-clients openssl pkg-config cmake libuv1-dev libglib2.0-dev \
	libjansson-dev nlohmann-json3-dev chromium chromium-driver
system-packages:
	@missing=; for package in $(PACKAGES); do \
		dpkg --status $$package >/dev/null 2>&1 || command -v $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
		echo "installing$$missing"; \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq $$missing; \
	fi

cargo-c:
	@cargo cbuild --version 2>/dev/null | grep -qF "$(CARGO_C)" || \
		cargo install cargo-c --version $(CARGO_C) --locked --root $(TOOLS)

$(VENV)/installed: python/requirements-dev.txt python/pyproject.toml python/Cargo.toml $(shell find core/src python/src python/iothub_mqtt -name '*.rs' -o -name '*.py') Cargo.lock
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement python/requirements-dev.txt
	$(MAKE) -C python install TARGET=$(TARGET) VENV=$(VENV)
	touch $@

$(INTEROP)/installed: tests/interop/requirements.txt
	test -x $(INTEROP)/bin/python || $(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet --requirement $<
	touch $@

$(VENV)/page-installed: tests/page/requirements.txt python/requirements-dev.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement tests/page/requirements.txt
	touch $@

clean:
	rm -rf $(TARGET) $(VENV) $(INTEROP) $(TOOLS)
