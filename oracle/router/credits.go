package router

// creditBytes is how many bytes of PHY payload one data credit pays for.
const creditBytes = 24

// DataCredits is the price of one uplink of phyBytes bytes: one credit for each
// 24 bytes that were begun, at least one. Join requests are free; that is the
// caller's business.
func DataCredits(phyBytes int) uint64 {
	n := uint64(max(phyBytes, creditBytes))
	return (n + creditBytes - 1) / creditBytes
}
