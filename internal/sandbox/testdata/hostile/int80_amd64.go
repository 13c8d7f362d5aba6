package main

// getpid32 asks for the process id by the number that i386 has for it.
func getpid32() int

func init() { // nothing else knows the architecture
	attacks["32-bit calls"] = func() error {
		getpid32()
		return nil
	}
}
