package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
	"mp3converter/internal/web"
)

// Failures counts failed logins, for all replicas; porttest.Failures has the full terms.
type Failures interface {
	Failures(ctx context.Context, slots ...user.Slot) ([]user.Tally, error)
	Fail(ctx context.Context, slot user.Slot, forget time.Duration) (int, error)
	Clear(ctx context.Context, slot user.Slot) error
}

// policy is how long whoever has failed must wait before the next try counts for anything.
type policy struct {
	free           int           // failures without a wait
	first, longest time.Duration // the wait after the last free one; each further failure doubles it
}

// What is counted, and how patiently. An account as such has no wait: strangers could lock its owner out. They can only do
// so from the owner's own address, and at most for longest. Behind one address may be a whole office, so it has more tries
// than one account from there, and a shorter wait.
//
// Guessing one account from one address gets 5 tries and then 4 an hour; an address gets 100, then
// 60 an hour or 100 after each ten minutes of rest, over all accounts. Whoever
// has many addresses pays for each try with a hash, and there are some 30 a second and core.
var (
	perAccount = policy{free: 5, first: time.Second, longest: 15 * time.Minute}
	perAddress = policy{free: 100, first: time.Second, longest: time.Minute}
)

const (
	// Without a failure for so long all is forgotten; longer than any wait. Of an address it is sooner: a typing mistake now and
	// then in a large office must never add up.
	forget        = time.Hour
	forgetAddress = 10 * time.Minute

	countTime = time.Second // for a count, which the client's going away must not prevent
)

// wait is what is left of the wait.
func (p policy) wait(t user.Tally) time.Duration {
	if t.Failures < p.free {
		return 0
	}
	wait := p.longest
	if doublings := t.Failures - p.free; doublings < 20 {
		wait = min(p.first<<doublings, p.longest)
	}
	return max(0, wait-t.Age)
}

// slots has 2^20 for each kind, so that strangers cannot fill the store. Who shares one shares its count; which they are
// only the key tells, so that nobody finds an account name that blocks another.
const slots = 1 << 20

func slotOf(key token.Key, kind user.Slot, purpose, text string) user.Slot {
	sum := key.Mac(purpose, text)
	return kind*slots + user.Slot(binary.BigEndian.Uint32(sum[:]))%slots
}

// household is what counts as one address: of IPv6, the 64 bits that a provider gives to one customer at least.
func household(client netip.Addr) string {
	if client.Is6() {
		prefix, _ := client.Prefix(64) // fails for other lengths only
		return prefix.String()
	}
	return client.String()
}

// attempt is one login that is being tried.
type attempt struct {
	failures         Failures
	account, address user.Slot
	before           int  // failures of the account from the address
	counted          bool // as a failure already, until it proves good
}

// attempt refuses whoever must wait. When the wait for an account is over, one attempt gets through: it counts as failed
// before the password is looked at, and of those who come at once, through whichever replica, the others wait again.
func (s *Service) attempt(ctx context.Context, email string, client netip.Addr) (*attempt, error) {
	from := household(client)
	a := &attempt{
		failures: s.cfg.Failures,
		account:  slotOf(s.cfg.Key, 1, "account", email+"\x00"+from),
		address:  slotOf(s.cfg.Key, 0, "address", from),
	}
	tallies, err := a.failures.Failures(ctx, a.account, a.address)
	if err != nil {
		return nil, err
	}
	if wait := max(perAccount.wait(tallies[0]), perAddress.wait(tallies[1])); wait > 0 {
		return nil, tooMany(wait)
	}
	if tallies[0].Age <= forget {
		a.before = tallies[0].Failures
	}
	if a.before < perAccount.free {
		return a, nil
	}
	a.counted = true
	n, err := a.failures.Fail(ctx, a.account, forget)
	if err != nil {
		return nil, err
	}
	if wait := perAccount.wait(user.Tally{Failures: n}); wait > 0 && n != a.before+1 {
		return nil, tooMany(wait)
	}
	return a, nil
}

// tooMany says when to come again, in whole seconds, not too early.
func tooMany(wait time.Duration) error {
	return &web.Refusal{
		Code: http.StatusTooManyRequests, Text: "too many failed logins, try again later",
		RetryAfter: (wait + time.Second - 1).Truncate(time.Second),
	}
}

// failed counts the attempt. It must not fail silently: an attempt that is not counted is one too many.
func (a *attempt) failed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTime)
	defer cancel()
	var errs []error
	if !a.counted {
		_, err := a.failures.Fail(ctx, a.account, forget)
		errs = append(errs, err)
	}
	_, err := a.failures.Fail(ctx, a.address, forgetAddress)
	return errors.Join(append(errs, err)...)
}

// good forgets the account's failures. Those of the address stay: its owner may have an account here, too.
func (a *attempt) good(ctx context.Context) {
	if a.before == 0 {
		return
	}
	if err := a.failures.Clear(ctx, a.account); err != nil {
		web.Note(ctx, "clear_err", err)
	}
}
