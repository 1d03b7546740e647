# The commands of daily work. `make test` is what CI runs after `make style`.

SHELL := /bin/bash
# The Swift runtime is linked in: the shipped command needs no Swift on the host, starts sooner and takes less memory.
SHIPPED = swift build -c release --static-swift-stdlib
BINARY = $(shell $(SHIPPED) --show-bin-path)/qala
# The backtracer of a crashing test can hang for minutes; the crash itself is enough.
export SWIFT_BACKTRACE = enable=no
# Seconds for all tests of one run, several times what they take: one that hangs must fail, and be named by `.ci/run`.
QALA_TEST_SECONDS ?= 3000

.PHONY: help setup release demo test test-long fuzz bench bench-databases bench-data style format clean

help: ## Shows this list.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: ## Installs what building and testing needs; quiet when nothing is missing.
	@scripts/setup

release: setup ## Builds the command as it ships.
	$(SHIPPED) --product qala
	$(SHIPPED) --product qalad
	$(SHIPPED) --product qala-wal

demo: release ## Archives, verifies and restores real trees of this machine; the daemon, the tiers, a volume, a PostgreSQL server.
	QALA_BINARY=$(BINARY) scripts/demo

test: release ## Builds everything and runs all tests, those of the real binary with the release build.
	scripts/python Benchmarks/test-harness
	swift build --build-tests
	QALA_TEST_ALONE=1 swift test --skip-build --disable-xctest --filter SweepSpaceTests/flat
	QALA_BINARY=$(BINARY) timeout $(QALA_TEST_SECONDS) swift test --skip-build --disable-xctest
	scripts/fuzz $${QALA_FUZZ_SECONDS:-5}

test-long: release ## The same with the longer slices of the fault tests.
	swift build --build-tests
	QALA_TEST_ALONE=1 QALA_TEST_LONG=1 swift test --skip-build --disable-xctest --filter SweepSpaceTests/flat
	QALA_TEST_LONG=1 QALA_BINARY=$(BINARY) swift test --skip-build --disable-xctest
	scripts/fuzz $${QALA_FUZZ_SECONDS:-60}

fuzz: ## Fuzzes every decoder of stored data for a minute each; OPTIONS="600 page" narrows and lengthens it.
	swift build --build-tests
	scripts/fuzz $(OPTIONS)

bench: release ## Measures qala beside restic, Borg and pgBackRest; OPTIONS="--sets src --rounds 1" narrows it to trees.
	scripts/setup --bench
	QALA_BINARY=$(BINARY) Benchmarks/run $(OPTIONS)$(if $(OPTIONS),, || bad=1; QALA_BINARY=$(BINARY) Benchmarks/run-databases && exit $${bad:-0})

bench-databases: release ## Measures qala beside pgBackRest alone; OPTIONS="--scale 10 --rounds 1" is a trial.
	scripts/setup --bench
	QALA_BINARY=$(BINARY) Benchmarks/run-databases $(OPTIONS)

bench-data: ## Builds the data sets of the benchmark under BENCH_DIR (default ./bench-data).
	Benchmarks/make-data

style: ## Checks formatting and scripts without changing anything.
	scripts/style

format: ## Formats the Swift sources.
	swift format format -i -r -p Package.swift Sources Tests Fuzz

clean: ## Removes what was built, not the data of the benchmark.
	rm -rf .build
