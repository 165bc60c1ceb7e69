// Package network runs a small city: a Solana VM, the real oracled program, a
// network server, hotspots that run the firmware, and end devices, all over one
// simulated air. Nothing in it is faked but the air and the passing of money: the
// oracle is the product's binary, reports travel over TLS, packets over Semtech
// UDP, rewards over JSON-RPC into wallets that are read back.
//
// All state lies in Config.Dir, so that the next run goes on where this one
// stopped: the same chain, the same ledger, the same hotspots.
package network
