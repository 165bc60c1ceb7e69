// Package native is the rule set "native-1": what makes a beacon and a witness
// report count, how much, and who shares a beacon's reward. Everything is a pure
// function of plain values with integers only, so that a stranger reaches the
// same verdict on any machine.
//
// Make and check stand side by side: [Answer] makes the transmission that
// [CheckBeacon] accepts, [Observe] the report that [CheckWitness] judges. The
// checks are tables ([BeaconChecks], [WitnessChecks], ...) in the order in which
// they are applied: the first one that fails is the verdict. The limits are in
// [Params], each with its reason.
//
// # What the rules can and cannot see
//
// A report proves possession of a key, not of a radio. What a liar has to get
// right is therefore what he cannot know: the payload of a beacon that he did not
// receive, the instant at which it was sent, and its secret power. The rules bound
// the rest by physics: no signal is stronger than free space allows, none is
// demodulated below its spreading factor's limit, none has less noise than a
// resistor at room temperature.
//
// Two hotspots that relay to each other over the internet pass a beacon's payload
// on in time; what they invent around it must still follow the power steps
// ([CheckLink]). Arrival times that light could not make would need the
// transmitter's fine time, which a beacon report does not have, so
// [poc.FasterThanLight] is not given by this rule set.
package native

// Rules is the name of the rule set, as records of an epoch state it.
const Rules = "native-1"
