// Package web is the explorer: a read-only JSON API and one page over it. It
// answers GET and HEAD only, bounds every query, shows places no finer than an
// H3 cell of resolution 8 (about 0.7 km²), and loads nothing from elsewhere.
//
//	/api/status                       the oracle and its epochs
//	/api/hotspots?after=&limit=       registered hotspots, in the order of keys
//	/api/hotspots/{id}                one hotspot with its last verdicts
//	/api/beacons?limit=               the newest judged beacons with their witnesses
//	/api/epochs?limit=                summaries, newest first
//	/api/epochs/{n}                   one epoch with its settlement
//	/api/epochs/{n}/proof/{hotspot}   the reward row with its Merkle proof
//	/api/epochs/{n}/bundle            everything that the epoch is computed from
//	/api/wallets/{address}            what the ledger says about a wallet
//
// The bundle holds the asserted places as the journal has them, because without
// them nobody could recompute the epoch; see [Config.Bundle].
package web
