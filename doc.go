// Package parley is the root of a self-hosted AI chat that acts: README.md says
// what it does, docs/architecture.md how, and cmd/parley is the program.
//
// There is no code here. The tests beside this file hold the house rules that no
// linter knows: documents that agree with the code, lock files that work on
// every platform, files that name no machine.
package parley
