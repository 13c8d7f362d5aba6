package deploy

// stubs are programs that stand in for those the scripts call: this test binary, under another name.
var stubs = map[string]func(args []string) int{}
