package forward

import (
	"errors"

	"heliograph/firmware/txlimit"
	"heliograph/radio"
	"heliograph/radio/region"
)

// statusOf says in the words of TX_ACK why a limiter refused.
func statusOf(err error) radio.TxStatus {
	if errors.Is(err, txlimit.ErrDutyCycle) {
		return radio.TxDutyCycle
	}
	if errors.Is(err, txlimit.ErrPower) {
		return radio.TxBadPower
	}
	if r, ok := errors.AsType[*region.Refusal](err); ok {
		switch r.Reason {
		case region.FrequencyNotInPlan:
			return radio.TxBadFrequency
		case region.PowerAboveLimit:
			return radio.TxBadPower
		case region.ListenFirst:
			return radio.TxBusy
		}
	}
	return radio.TxFailed
}
