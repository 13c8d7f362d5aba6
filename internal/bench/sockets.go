package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// traffic is what went over TCP, in bytes, as a process's own kernel counted it: nobody has to stand in between.
type traffic struct{ received, sent int64 }

func (t traffic) minus(before traffic) traffic {
	return traffic{t.received - before.received, t.sent - before.sent}
}

// trafficOf adds up a process's open connections to an address of 127.0.0.1. Those that have been closed are not counted:
// our services keep theirs.
func trafficOf(pid int, addr string) (traffic, error) {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return traffic{}, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return traffic{}, err
	}
	mine, err := socketsOf(pid)
	if err != nil {
		return traffic{}, err
	}
	all, err := connections()
	var sum traffic
	for _, c := range all {
		if mine[c.inode] && c.remotePort == uint16(port) {
			sum.received += c.received
			sum.sent += c.sent
		}
	}
	return sum, err
}

// socketsOf lists the inodes of a process's sockets.
func socketsOf(pid int) (map[uint32]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	inodes := map[uint32]bool{}
	for _, fd := range fds {
		target, _ := os.Readlink(filepath.Join(dir, fd.Name())) // it may be closed by now
		number, ok := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32); ok && err == nil {
			inodes[uint32(inode)] = true
		}
	}
	return inodes, nil
}

// connection is one end of a TCP connection.
type connection struct {
	inode      uint32
	remotePort uint16
	traffic
}

// The kernel's names and sizes, of linux/inet_diag.h and linux/sock_diag.h.
const (
	sockDiagByFamily = 20
	inetDiagInfo     = 2 // the attribute that holds a tcp_info
	requestSize      = 56
	answerSize       = 72
	established      = 1 << 1
)

// connections asks the kernel for all established ones of IPv4.
func connections() ([]connection, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("ask for sockets: %w", err)
	}
	defer unix.Close(s)
	request := make([]byte, unix.NLMSG_HDRLEN+requestSize)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request[16], request[17], request[18] = unix.AF_INET, unix.IPPROTO_TCP, 1<<(inetDiagInfo-1)
	binary.NativeEndian.PutUint32(request[20:], established)
	if err := unix.Sendto(s, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask for sockets: %w", err)
	}
	var all []connection
	for buffer := make([]byte, 64<<10); ; {
		n, _, err := unix.Recvfrom(s, buffer, 0)
		if err != nil {
			return nil, fmt.Errorf("ask for sockets: %w", err)
		}
		found, last, err := parseAnswers(buffer[:n])
		all = append(all, found...)
		if last || err != nil {
			return all, err
		}
	}
}

var errAnswer = errors.New("the kernel's answer about sockets is not understood")

// parseAnswers reads the netlink messages of one answer. The last of all says that it is.
func parseAnswers(b []byte) (all []connection, last bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return nil, true, errAnswer
		}
		switch kind := binary.NativeEndian.Uint16(b[4:]); {
		case kind == unix.NLMSG_DONE:
			return all, true, nil
		case kind != sockDiagByFamily || size < unix.NLMSG_HDRLEN+answerSize:
			return nil, true, errAnswer
		}
		all = append(all, parseConnection(b[unix.NLMSG_HDRLEN:size]))
		b = b[min(len(b), aligned(size)):]
	}
	return all, false, nil
}

// parseConnection reads an inet_diag_msg and its attributes.
func parseConnection(b []byte) connection {
	c := connection{remotePort: binary.BigEndian.Uint16(b[6:]), inode: binary.NativeEndian.Uint32(b[68:])}
	for b = b[answerSize:]; len(b) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[2:]) == inetDiagInfo {
			var info unix.TCPInfo
			acked, received := int(unsafe.Offsetof(info.Bytes_acked)), int(unsafe.Offsetof(info.Bytes_received))
			if value := b[unix.SizeofRtAttr:size]; len(value) >= received+8 {
				c.sent, c.received = int64(binary.NativeEndian.Uint64(value[acked:])), int64(binary.NativeEndian.Uint64(value[received:]))
			}
		}
		b = b[min(len(b), aligned(size)):]
	}
	return c
}

func aligned(size int) int { return (size + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
