// Package verify judges an epoch: it joins the witnesses to their beacons, applies
// the rules of package native and adds up what each hotspot earned. It is a pure
// function of the journal's entries, the registry at the epoch's opening, the
// session certificates, the parameters and the seed; anybody who has these gets
// the same bytes, whatever machine and number of workers he uses.
//
// It works in two phases. Shard by shard, in parallel, each report is parsed, its
// signature verified and its own checks applied: a beacon and its witnesses lie in
// one shard. What needs more than one shard comes after, in order, on a few words
// a report: beacons that answer a challenge twice with different proofs, levels
// that do not follow the power over all beacons of a link, and the draw of the
// witnesses that share a reward.
//
// Memory: the entries of the shards that are being worked on, plus about 200 bytes
// a report until the end.
package verify
