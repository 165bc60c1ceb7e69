#!/bin/sh
# Regenerates heliographv1 from heliograph.proto. Needs Debian's
# protobuf-compiler; the plugins are pinned in go.mod.
set -eu
cd "$(dirname "$0")"
command -v protoc >/dev/null || { echo "generate: protoc is missing; install it with: apt-get install protobuf-compiler" >&2; exit 2; }
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
out=${1:-heliographv1}
mkdir -p "$out"
PATH="$bin:$PATH" protoc --go_out="$out" --go_opt=paths=source_relative --go-grpc_out="$out" --go-grpc_opt=paths=source_relative heliograph.proto
