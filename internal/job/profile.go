package job

import (
	"fmt"
	"strings"
)

// Profile names a way to encode; package ffmpeg knows what each means.
type Profile string

// The profiles, as the upload's field or query "profile" names them.
const (
	Standard Profile = "standard" // LAME V5: about 130 kb/s, the default
	CBR128   Profile = "cbr128"   // 128 kb/s constant, 44.1 kHz stereo: what the original made
	Voice    Profile = "voice"    // mono, for speech
	High     Profile = "high"     // LAME V2: about 190 kb/s
	Best     Profile = "best"     // LAME V0: about 245 kb/s
)

// Profiles lists all of them, the default first.
var Profiles = []Profile{Standard, CBR128, Voice, High, Best}

// ParseProfile returns the profile of that name; the empty name means Standard.
func ParseProfile(name string) (Profile, error) {
	if name == "" {
		return Standard, nil
	}
	known := make([]string, len(Profiles))
	for i, p := range Profiles {
		if name == string(p) {
			return p, nil
		}
		known[i] = string(p)
	}
	return "", fmt.Errorf("profile %q is not one of %s", name, strings.Join(known, ", "))
}
