// Package ingest is the oracle's door: it authenticates, limits, deduplicates,
// stamps and journals what hotspots send, and answers with signed receipts.
//
// [Core] decides; it knows no network. The order of its checks puts the cheap
// ones first, and an unknown hotspot never costs a signature check. A refused
// report is counted by its [poc.Reason] and forgotten; an accepted one is on
// disk before its receipt exists. The same report, however often and however
// simultaneously it comes, is journaled once and always gets the same receipt.
//
// [Server] speaks heliograph.v1 (oracle/api/heliograph.proto) over gRPC with TLS
// 1.3. Its certificate carries the oracle's own Ed25519 key, which hotspots pin.
package ingest
