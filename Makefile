# Every target is a sentence in `make help`.
SHELL    := bash
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -X mp3converter/internal/daemon.version=$(VERSION)
TOOLS    := $(CURDIR)/.tools
SLIM     := -ldflags '-s -w'
RACE     ?=
COMMANDS := auth gateway converter notification mp3converter
FILE     ?=
PKG      ?= ./...
BENCH    ?=
MINUTES  ?= 10
INGRESS  ?=
REUSE    ?=
FUZZTIME ?= 30s
VULNDB   ?=
MUTANTS  ?= 10000
TAG      ?= 1.0.0
SERVICES := auth gateway converter notification
export TOOLS VULNDB

.DEFAULT_GOAL := help
.PHONY: help demo run build test quick lint audit manifests-check crash faults soak bench fuzz images ffmpeg sbom secrets tools clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

demo: bin/mp3converter ## run the main job once, on embedded stores, and show it: make demo [FILE=video]
	@.ci/deps demo
	@bin/mp3converter demo $(if $(FILE),"$(FILE)")

run: bin/mp3converter ## run the suite on embedded stores: API on :8080, mails on :8025, data in ./.data
	@.ci/deps demo
	@DATA_DIR=$${DATA_DIR:-.data} bin/mp3converter

build: $(COMMANDS:%=bin/%) ## build all commands into bin/

bin/%: $(shell find cmd internal -name '*.go' -o -name '*.sql' -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.svg' -o -name '*.yaml' -o -name '*.txt') go.mod go.sum
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/$*

# Compilers that collect garbage less often do a tenth less work. Only tests that hang reach the timeout, on a machine three times as busy too.
test: deps ## run all tests, on real servers: make test [PKG=./internal/job]
	@GOGC=400 GOMEMLIMIT=1GiB $(MAKE) --no-print-directory -j3 -Otarget RACE=-race bin/ffmpeg audited tools lint
	go test -race -timeout 40m $(PKG)

.PHONY: audited vet
audited:
	@internal/tools/audit/run own-modules secrets

quick: tools ## run the tests of one package again: make quick PKG=./internal/gateway
	go test -race $(PKG)

lint: vet $(TOOLS)/golangci-lint ## gofmt, go vet and golangci-lint
	GOFLAGS="$$GOFLAGS $(RACE)" $(TOOLS)/golangci-lint run ./...

vet: # what it compiles with RACE=-race the tests need as well
	@unformatted=$$(gofmt -l cmd internal); [[ -z $$unformatted ]] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	go vet $(RACE) ./...

audit: ## check modules, history and files for secrets, and known vulnerabilities: make audit [VULNDB=vulndb.zip]
	@internal/tools/audit/run

manifests-check: ## check manifests/ and the overlays of deploy/, without a cluster; make test does too
	go test ./internal/manifests
	go test $(SERVICES:%=./cmd/%) -run TestManifests

crash: deps tools ## kill, fail and stall every service at every crash point: all runs, then the checker's word
	go test -race -v -timeout 60m ./internal/faults -run 'TestCrashPoints' -full

faults: deps tools ## tell the whole fault matrix: what breaks, what is expected, what was seen
	go test -race -v -timeout 60m ./internal/faults -run 'TestFaults' -full

.PHONY: attacks
attacks: deps tools ## try every attack on the running suite, then the table: attack, expected, seen; it is in bin/attacks.txt too
	@mkdir -p bin
	go test -race -count=1 -v -timeout 60m ./internal/attacks -full -table $(CURDIR)/bin/attacks.txt

soak: deps tools ## upload for MINUTES (10) while something breaks every two seconds, then look: one table
	go test -race -v -timeout $$(($(MINUTES) + 30))m ./internal/faults -run 'TestSoak' -soak $(MINUTES)m

.PHONY: e2e
e2e: ## install, use, disturb and uninstall it all on the Kubernetes of KUBECONFIG: make e2e [INGRESS=http://ADDRESS] [REUSE=1]
	@.ci/deps demo
	go test -count=1 -v -timeout 90m ./internal/e2e -e2e -ingress '$(INGRESS)' $(if $(REUSE),-reuse)

bench: deps tools bin/ffmpeg ## compare with bare ffmpeg and the bare store and broker, side by side: ratios, and which got worse; make bench [BENCH="-full -strict"]
	go run ./internal/bench $(BENCH)

fuzz: ## fuzz each target for FUZZTIME (30s), then convert MUTANTS (10000) damaged files
	@go list -f '{{.Dir}}' ./... | xargs grep -ls '^func Fuzz' --include='*_test.go' -r | sort -u | while read -r file; do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
	    echo "$$target in $$file"; go test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) "$$(dirname $$file)" || exit 1; done; done
	go test -v -timeout 120m ./internal/ffmpeg -run TestMutants -mutants $(MUTANTS) -ffmpeg $(firstword $(wildcard $(CURDIR)/bin/ffmpeg) ffmpeg)

images: ## build the four images with any Docker, and print their sizes: make images [TAG=1.0.0]
	@for service in $(SERVICES); do \
	  docker build -t mp3converter/$$service:$(TAG) -f Dockerfile.$$service --build-arg VERSION=$(TAG)+$(VERSION) \
	    --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) . || exit 1; done
	@for service in $(SERVICES); do \
	  docker image inspect -f '{{index .RepoTags 0}} {{.Size}}' mp3converter/$$service:$(TAG); done | awk '{ printf "%-36s %5.1f MB\n", $$1, $$2 / 1e6 }'

sbom: $(TOOLS)/syft ## write what the images of make images are made of to bin/sbom/, as SPDX
	@mkdir -p bin/sbom; tar=$$(mktemp); trap 'rm -f $$tar' EXIT; for service in $(SERVICES); do \
	  docker save -o $$tar mp3converter/$$service:$(TAG) && SYFT_CHECK_FOR_APP_UPDATE=false $(TOOLS)/syft scan -q docker-archive:$$tar \
	    --source-name mp3converter/$$service --source-version $(TAG) -o spdx-json=bin/sbom/$$service.spdx.json || exit 1; \
	  echo "bin/sbom/$$service.spdx.json: $$(grep -o '"SPDXID":"SPDXRef-Package-' bin/sbom/$$service.spdx.json | wc -l) packages"; done

ffmpeg: bin/ffmpeg ## build the converter image's ffmpeg for this Debian machine: the commands in bin/ prefer it

bin/ffmpeg: deploy/ffmpeg/build
	@env -u MAKEFLAGS deploy/ffmpeg/build $@

tools: $(TOOLS)/ferretdb $(TOOLS)/toxiproxy $(TOOLS)/golangci-lint $(TOOLS)/axe.min.js ## build the tests' tools into .tools/

.PHONY: deps
deps:
	@.ci/deps test

$(TOOLS)/ferretdb: internal/tools/ferretdb/build internal/tools/ferretdb/go.sum internal/tools/ferretdb/main.go
	internal/tools/ferretdb/build $@

$(TOOLS)/toxiproxy: internal/tools/toxiproxy/go.sum
	cd internal/tools/toxiproxy && go build $(SLIM) -o $@ github.com/Shopify/toxiproxy/v2/cmd/server

$(TOOLS)/axe.min.js: internal/tools/axe/build
	internal/tools/axe/build $@

$(TOOLS)/golangci-lint: internal/tools/lint/go.sum
	cd internal/tools/lint && go build $(SLIM) -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/syft: internal/tools/sbom/go.sum
	cd internal/tools/sbom && go build -o $@ github.com/anchore/syft/cmd/syft

secrets: ## put random passwords and keys into the cluster, in place of the published ones: make secrets [ROTATE=1]
	@deploy/secrets/run $(if $(ROTATE),--rotate)

clean: ## remove what was built, and the data of make run
	rm -rf bin .tools .data
