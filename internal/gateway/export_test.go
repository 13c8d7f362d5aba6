package gateway

import "time"

// Wait has the client wait for auth's answers for so long.
func (a *Auth) Wait(d time.Duration) { a.client.Timeout = d }
