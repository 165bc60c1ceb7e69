package lorawan

import (
	"crypto/aes"
	"encoding/binary"
	"fmt"
)

// CryptFRMPayload encrypts or decrypts an FRMPayload (the two are one operation)
// into a new slice. The key is the AppSKey, or the NwkSEncKey (1.0: NwkSKey) when
// FPort is 0; fcnt is the full counter.
func CryptFRMPayload(key AESKey, down bool, addr DevAddr, fcnt uint32, payload []byte) []byte {
	return stream(key, [5]byte{1, 0, 0, 0, 0}, down, addr, fcnt, payload)
}

// FOptsCounter says by which counter a 1.1 frame's FOpts are encrypted.
type FOptsCounter uint8

// The counters: FCntUp and NFCntDown for uplinks and for downlinks without an
// FPort or with FPort 0, AFCntDown for all other downlinks.
const (
	ByNetworkCounter     FOptsCounter = 1
	ByApplicationCounter FOptsCounter = 2
)

// CryptFOpts encrypts or decrypts the FOpts of a LoRaWAN 1.1 frame into a new
// slice (LoRaWAN 1.1 erratum "FOpts encryption, usage of FCntDwn").
func CryptFOpts(nwkSEncKey AESKey, counter FOptsCounter, f Frame, fcnt uint32) ([]byte, error) {
	if f.Kind != DataUp && f.Kind != DataDown || len(f.FOpts) > maxFOpts {
		return nil, fmt.Errorf("lorawan: decrypt FOpts: %v frame with %d bytes of them", f.Kind, len(f.FOpts))
	}
	return stream(nwkSEncKey, [5]byte{1, 0, 0, 0, byte(counter)}, f.Kind == DataDown, f.DevAddr, fcnt, f.FOpts), nil
}

// Decrypt gives the plain FRMPayload of a data frame; the MIC must have been
// verified before. The key is chosen by FPort.
func (f Frame) Decrypt(keys SessionKeys, fcnt uint32) ([]byte, error) {
	if f.Kind != DataUp && f.Kind != DataDown {
		return nil, fmt.Errorf("lorawan: decrypt: %v frame has no FRMPayload", f.Kind)
	}
	if uint16(fcnt) != f.FCnt16 {
		return nil, fmt.Errorf("lorawan: decrypt: counter %d is not the frame's (…%d)", fcnt, f.FCnt16)
	}
	key := keys.AppS
	if f.FPort == 0 {
		key = keys.NwkSEnc
	}
	return CryptFRMPayload(key, f.Kind == DataDown, f.DevAddr, fcnt, f.FRMPayload), nil
}

// stream is AES in counter mode over LoRaWAN's A blocks. FOpts fit in one block,
// whose number is 1 as well.
func stream(key AESKey, head [5]byte, down bool, addr DevAddr, fcnt uint32, in []byte) []byte {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // impossible: the key has 16 bytes
	}
	var a, s [16]byte
	copy(a[:], head[:])
	if down {
		a[5] = 1
	}
	binary.LittleEndian.PutUint32(a[6:], uint32(addr))
	binary.LittleEndian.PutUint32(a[10:], fcnt)
	out := make([]byte, len(in))
	for i, v := range in {
		if i%16 == 0 {
			a[15]++
			block.Encrypt(s[:], a[:])
		}
		out[i] = v ^ s[i%16]
	}
	return out
}
