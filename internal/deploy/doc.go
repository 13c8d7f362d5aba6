// Package deploy tests what lies in deploy/: that alerts and the dashboard ask for metrics that are really exported, that
// alerts fire when they should, and that the scripts call what they should, on the machines they may find. It has tests only.
package deploy
