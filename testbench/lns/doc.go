// Package lns is a small LoRaWAN network server behind Semtech UDP: join server
// and class A network for devices of LoRaWAN 1.0 (TS001-1.0.4) that are registered
// with it, and a recorder of whatever arrives. Tests put it where a product's
// network server would be; such a one takes its place without anything else
// changing.
//
// [Core] is the network server as a step machine, [Server] runs it on a socket.
//
// It collects the copies of an uplink for Config.Gather, answers through the
// gateway that heard it best, in RX1 (join-accepts after 5 s, acknowledgements
// after 1 s), and keeps the counters that keep replays out. It sends no MAC
// commands, does no ADR, and holds its sessions in memory only.
package lns
