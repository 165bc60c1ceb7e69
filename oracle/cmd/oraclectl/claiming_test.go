package main

import (
	"context"
	"testing"

	"heliograph/oracle/audit"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
)

type markedBy struct {
	audit.Trail
	payments []payment.Payment
}

func (m markedBy) Marked(context.Context, string, string, settle.Marker) ([]payment.Payment, error) {
	return m.payments, nil
}

func TestMadeBy(t *testing.T) {
	ours := []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 7}}}
	made := []payment.Distributor{{Program: "p"}}
	for name, c := range map[string]struct {
		p    payment.Payment
		want string
	}{
		"distributor":      {payment.Payment{Markers: ours, Distributors: made}, "p"},
		"sent":             {payment.Payment{Markers: ours}, ""},
		"failed":           {payment.Payment{Markers: ours, Distributors: made, Failed: "x"}, ""},
		"a stranger's":     {payment.Payment{Distributors: made}, ""},
		"of another batch": {payment.Payment{Distributors: made, Markers: []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 7, Batch: 1}}}}, ""},
	} {
		if got, err := madeBy(t.Context(), markedBy{payments: []payment.Payment{c.p}}, "hot", "mint", 7); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
