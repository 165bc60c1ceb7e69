// Package gwmp speaks the Gateway Message Protocol, better known as Semtech UDP:
// the datagrams between a packet forwarder and a server, as Semtech's document
// "Gateway to Server Interface" and the PROTOCOL.TXT of its packet forwarder
// describe them, versions 1 and 2.
//
// The package works in both directions. A hotspot that existing forwarders
// attach to parses [PushData], [PullData] and [TxAck] and answers with
// [PushAck], [PullAck] and [PullResp]; a router that plays a gateway towards a
// network server does the opposite. It is a codec only: [Parse] and the
// messages' AppendBinary methods do no I/O and hold no state, so everything in
// it is safe for concurrent use.
//
// Parsing is generous, because forwarders in the field are careless: numbers
// may come as text or with float noise, base64 may be unpadded or use either
// alphabet or both, received signals may stand in an "rsig" array, and NUL
// bytes may follow the JSON. One unusable rxpk does not lose its neighbours.
// Encoding is strict: keys in one order, frequencies with six exact decimals,
// padded standard base64.
package gwmp
