package outside

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyPublicAddressesMayBeCalled(t *testing.T) {
	for _, addr := range strings.Fields(`
		0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255
		192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
		239.255.255.250 240.0.0.1 255.255.255.255
		:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
		fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1
		2002:7f00:1:: 2002:a00:1:: 3fff::1 5f00::1 2a00:1450::1%eth0`) {
		for _, secure := range []bool{true, false} {
			if (guard{}).lets(netip.AddrPortFrom(netip.MustParseAddr(addr), 443), secure) {
				t.Errorf("%s may be called", addr)
			}
		}
	}
	for _, addr := range strings.Fields("8.8.8.8 1.1.1.1 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 223.255.255.255 2a00:1450::1 2606:4700::1111") {
		a := netip.MustParseAddr(addr)
		if !(guard{}).lets(netip.AddrPortFrom(a, 443), true) {
			t.Errorf("%s may not be called", addr)
		}
		if (guard{}).lets(netip.AddrPortFrom(a, 443), false) || (guard{}).lets(netip.AddrPortFrom(a, 22), true) {
			t.Errorf("%s may be called without TLS, or on port 22", addr)
		}
	}
}

func TestOperatorsMayAllowMore(t *testing.T) {
	g := guard{prefixes("10.1.0.0/16", "fd00::/8")}
	for addr, want := range map[string]bool{
		"10.1.2.3:80": true, "[::ffff:10.1.2.3]:80": true, "[fd00::1]:8080": true, "10.2.0.1:443": false, "127.0.0.1:80": false, "8.8.8.8:80": false,
	} {
		if got := g.lets(netip.MustParseAddrPort(addr), false); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
