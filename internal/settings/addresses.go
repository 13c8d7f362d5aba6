package settings

import (
	"fmt"
	"strings"

	"mp3converter/internal/job"
)

// Addresses are e-mail addresses with commas between.
type Addresses []string

// UnmarshalText parses them.
func (a *Addresses) UnmarshalText(text []byte) error {
	*a = nil
	for one := range strings.SplitSeq(string(text), ",") {
		one = strings.TrimSpace(one)
		if !job.IsAddress(one) {
			return fmt.Errorf("%.80q is no e-mail address: write them with commas between", one)
		}
		*a = append(*a, one)
	}
	return nil
}
