package ingest

import (
	"time"

	"heliograph/oracle/journal"
	"heliograph/poc"
)

// Outcome is the answer to one report.
type Outcome struct {
	ID         poc.ID // of the report; SHA-256 of the bytes received when they were not read
	Reason     poc.Reason
	Detail     string        // for humans: cause and remedy; empty when OK
	Receipt    []byte        // signed poc.Receipt; set when OK
	RetryAfter time.Duration // when it makes sense to try again, 0 = at once or never
	Duplicate  bool          // OK, but it was in the journal before
}

// Accepted is a report that has just been journaled, for the first time.
type Accepted struct {
	poc.Report
	Epoch    poc.Epoch
	Received int64 // unix nanoseconds
	At       journal.Position
	Held     time.Duration // how long the hotspot says that it held it
}

func refuse(id poc.ID, r poc.Reason, detail string) Outcome {
	return Outcome{ID: id, Reason: r, Detail: detail}
}
