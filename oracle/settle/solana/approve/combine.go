package approve

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	bin "github.com/gagliardetto/binary"
	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
)

func decode(b []byte, m *solana.Message) error {
	if len(b) == 0 || len(b) > 1232 {
		return fmt.Errorf("approve: a message of %d bytes", len(b))
	}
	if err := m.UnmarshalWithDecoder(bin.NewBinDecoder(b)); err != nil {
		return fmt.Errorf("approve: the message cannot be read: %w", err)
	}
	return nil
}

// Signature is one signer's signature of a message.
type Signature struct {
	Signer    solana.PublicKey
	Signature solana.Signature
}

// ParseSignature reads SIGNER=SIGNATURE, both in base58, as the Solana tools print
// them for offline signing.
func ParseSignature(text string) (s Signature, err error) {
	key, sig, ok := strings.Cut(text, "=")
	if !ok {
		return s, fmt.Errorf("approve: signature %.20q is not written SIGNER=SIGNATURE", text)
	}
	if s.Signer, err = solana.PublicKeyFromBase58(key); err != nil {
		return s, fmt.Errorf("approve: signer %q: %w", key, err)
	}
	if s.Signature, err = solana.SignatureFromBase58(sig); err != nil {
		return s, fmt.Errorf("approve: signature of %s: %w", key, err)
	}
	return s, nil
}

// Combine puts signatures to a message. It refuses one that does not verify or is
// not asked for, and says which are missing.
func (m Message) Combine(sigs []Signature) (*solana.Transaction, error) {
	tx := &solana.Transaction{}
	if err := decode(m.Bytes, &tx.Message); err != nil {
		return nil, err
	}
	have := map[solana.PublicKey]solana.Signature{}
	for _, s := range sigs {
		if !ed25519.Verify(s.Signer[:], m.Bytes, s.Signature[:]) {
			return nil, fmt.Errorf("approve: the signature of %s is not one of this message: the signer must sign exactly these bytes", s.Signer)
		}
		have[s.Signer] = s.Signature
	}
	var missing []string
	for _, k := range m.Signers {
		s, ok := have[k]
		if !ok {
			missing = append(missing, k.String())
		}
		delete(have, k)
		tx.Signatures = append(tx.Signatures, s)
	}
	for k := range have {
		return nil, fmt.Errorf("approve: %s is not a signer of this message", k)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("approve: signatures are missing of %s", strings.Join(missing, ", "))
	}
	return tx, nil
}

// ErrExpired: the blockhash of the message is too old.
var ErrExpired = errors.New("approve: the message has expired: make a new one, and let it be signed within a minute, or use a nonce account (--nonce)")

// sendEvery is how often the transaction is repeated until it is final. Repeating
// the same bytes does no harm.
const sendEvery = 2 * time.Second

// Send hands the transaction to the cluster until it is final or ctx ends. The
// signature is returned in any case, so that a person can look it up.
func Send(ctx context.Context, endpoint string, tx *solana.Transaction) (solana.Signature, error) {
	c := dial(endpoint)
	sig := tx.Signatures[0]
	none := uint(0)
	for {
		_, serr := c.SendTransactionWithOpts(ctx, tx, rpc.TransactionOpts{MaxRetries: &none, PreflightCommitment: rpc.CommitmentConfirmed})
		st, err := c.GetSignatureStatuses(ctx, true, sig)
		known := err == nil && st != nil && len(st.Value) == 1 && st.Value[0] != nil
		switch {
		case known && st.Value[0].Err != nil:
			return sig, fmt.Errorf("approve: transaction %s failed: %v", sig, st.Value[0].Err)
		case known && st.Value[0].ConfirmationStatus == rpc.ConfirmationStatusFinalized:
			return sig, nil
		case !known && serr != nil && strings.Contains(serr.Error(), "lockhash not found"):
			return sig, ErrExpired
		case !known && serr != nil && strings.Contains(serr.Error(), "simulation failed"):
			return sig, fmt.Errorf("approve: the cluster refuses the transaction: %w", serr)
		}
		t := time.NewTimer(sendEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return sig, fmt.Errorf("approve: transaction %s is not final yet (%v): look it up before you make another", sig, errors.Join(ctx.Err(), serr))
		case <-t.C:
		}
	}
}
