package main

import "testing"

func TestEveryClipIsMadeOfWhatThereIs(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range corpus() {
		made := c.withDefaults()
		if sounds[made.sound] == nil || pictures[made.pictures] == nil || made.Seconds < 1 {
			t.Errorf("%s has no sound %q, no pictures %q or no length", c.Name, made.sound, made.pictures)
		}
		if seen[c.Name] {
			t.Errorf("there are two of %s", c.Name)
		}
		seen[c.Name] = true
	}
	for _, name := range []string{clip10s, clip60s, clip10min, clipPhone, clipMP3} {
		if !seen[name] {
			t.Errorf("a goal is set for %s, which is not in the corpus", name)
		}
	}
	if c := corpus()[0]; !(settings{}).wants(c) || (settings{Clips: []string{clipMP3}}).wants(c) || (settings{}).wants(clip{full: true}) || !(settings{Full: true}).wants(clip{full: true}) {
		t.Error("what is asked for is not what is converted")
	}
}
