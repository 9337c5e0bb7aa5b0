# Short names only: everything works without make.
.PHONY: help dev check full test bench lint fmt generate

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

dev: ## the whole system on this machine, with its page
	go run ./cmd/parley dev

check: ## everything that guards a commit
	go run ./tools/check

full: ## the same and the long proofs
	go run ./tools/check --full

test: ## Go tests
	go test ./...

bench: ## measure a whole Parley against a bare proxy
	go run ./cmd/parley bench

lint: ## golangci-lint
	go tool -modfile=tools.mod golangci-lint run

fmt: ## gofumpt and the order of imports
	go tool -modfile=tools.mod golangci-lint fmt

generate: ## event schema and the types made from it
	go generate ./...
