// Package compose tests the deployment files: compose.yaml with Compose's own
// library, and the Dockerfile. It is a module of its own, because that library
// brings many others.
package compose
