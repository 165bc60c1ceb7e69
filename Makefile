# Heliograph. `make run` shows the network, `make test` passes the tests; both set
# up what they need. `make help` lists the rest.
SHELL := /bin/sh
GO ?= go
export CGO_ENABLED = 0
BIN := bin
COMMANDS := oracle/cmd/oracled oracle/cmd/oraclectl oracle/cmd/oraclesigner firmware/cmd/hotspotd firmware/cmd/hotspotctl testbench/cmd/bench
LDFLAGS := -s -w
RUN_DIR ?= .run/network
FRESH ?=
# A number of runs, not a time: a deadline that passes while a worker reports makes
# go test fail for nothing.
FUZZTIME ?= 5000x

GO_BENCH = $(GO) run ./testbench/cmd/bench

.PHONY: help run smoke bus-work chip-faults downlink-timing payout-faults test test-long fuzz-short bench lint generate build setup clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the npm packages of the Solana VM (from the lock file, with integrity hashes)
	@command -v $(GO) >/dev/null || { echo "go is missing: install Go 1.26 or later (https://go.dev/dl)" >&2; exit 2; }
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or later (apt-get install nodejs npm)" >&2; exit 2; }
	@$(GO) run ./testbench/cmd/bench setup

build: ## build the programs into bin/
	@mkdir -p $(BIN)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ $(addprefix ./,$(COMMANDS))

run: build setup ## show the network: a city of hotspots, an oracle, payouts on a Solana VM (FRESH=1 starts anew)
	@$(BIN)/bench network --dir $(RUN_DIR) $(if $(FRESH),--fresh)

smoke: build setup ## one short epoch without a terminal; ends with a line of JSON
	@$(BIN)/bench smoke

bus-work: ## what a concentrator costs on its bus, beside the vendor's driver; ends with a line of JSON
	@$(GO_BENCH) bus-work

chip-faults: ## every fault of a concentrator, and what the hotspot makes of it; ends with a line of JSON
	@$(GO_BENCH) chip-faults

downlink-timing: ## 10,000 downlinks with 50 ms of lead in real time; a stall of the machine counts as a miss (80 s)
	$(GO) test -v -count=1 -run NoDownlinkMissed ./testbench/board -downlinks 10000

RUNS ?= 1000
SEED ?= 1
payout-faults: build setup ## RUNS payouts (default 1000) from SEED on while everything fails; ends with a line of JSON
	@$(BIN)/bench payout-faults --runs $(RUNS) --seed $(SEED)

test: setup ## the tests, under five minutes on two cores
	$(GO) vet ./...
	$(GO) test -short ./...

test-long: build setup ## everything that make test leaves out, and the smoke run
	$(GO) test -timeout 30m ./...
	CGO_ENABLED=1 $(GO) test -tags h3oracle ./poc/geo
	$(MAKE) fuzz-short
	$(MAKE) smoke

fuzz-short: ## every fuzz target for FUZZTIME (default 5000x)
	@set -e; $(GO) list -f '{{.ImportPath}}' ./... | while read -r pkg; do \
	  $(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' | while read -r f; do \
	    echo "fuzz $$pkg $$f"; \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "$$pkg" >.fuzz.log 2>&1 || { cat .fuzz.log; rm -f .fuzz.log; exit 1; }; \
	  done; done; rm -f .fuzz.log

bench: ## the benchmarks behind docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## regenerate the chip's registers and oracle/api/heliographv1 (needs Debian's protobuf-compiler)
	$(GO) generate ./hardware/sx1302
	@command -v protoc >/dev/null || { echo "protoc is missing: apt-get install protobuf-compiler" >&2; exit 2; }
	./oracle/api/generate.sh

clean: ## remove what was built, installed and recorded by runs
	rm -rf $(BIN) .run testbench/solana/vm/node_modules
