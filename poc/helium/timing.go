package helium

// CheckEntropyWindow compares in whole seconds, both ends included.
func CheckEntropyWindow(startS, endS int64, received Millis) Reason {
	if s := received.seconds(); s < startS || s > endS {
		return EntropyExpired
	}
	return None
}

// CheckSchedule allows one beacon in each window of the interval, counted from
// 1970-01-01 00:00 UTC; the window must be later than that of the last beacon.
func CheckSchedule(last, received Millis, intervalS int64) Reason {
	if intervalS <= 0 || floorDiv(received.seconds(), intervalS) <= floorDiv(last.seconds(), intervalS) {
		return IrregularInterval
	}
	return None
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// CheckLag limits how long after the first report of a beacon a witness's may
// arrive. The first report may be the beaconer's or any witness's, valid or not,
// so a rival can start the shorter clock on purpose.
func CheckLag(beacon, firstWitness, received Millis, l Limits) Reason {
	lag, limit := received-beacon, l.FirstBeaconLagMS
	if beacon > firstWitness {
		lag, limit = received-firstWitness, l.FirstWitnessLagMS
	}
	if int64(lag) > limit {
		return TooLate
	}
	return None
}

// recent is the reciprocity rule: the event happened less than the window before.
func recent(at Millis, known bool, received Millis, windowMS int64) bool {
	return known && int64(received-at) < windowMS
}
