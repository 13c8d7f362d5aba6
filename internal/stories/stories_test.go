package stories

import (
	"slices"
	"strings"
	"testing"

	"mp3converter/internal/testsuite"
)

// told are the stories of both suites. Each has its own users, so all of a suite are told at once.
var told = map[string]func(t *testing.T, s *testsuite.Suite){
	"a video becomes an MP3 that a mail leads to":                  theMainJob,
	"the contract's three commands work as users type them":        theCommands,
	"a refused video is not even sent":                             theRefusedVideo,
	"login answers as the original does":                           loginRows,
	"login through the gateway is auth's":                          gatewayLoginRows,
	"validate answers as the original does":                        validateRows,
	"a token is the original's":                                    theToken,
	"a logout ends a token, or all":                                theLogout,
	"a row of the original's logs in and is hashed":                thePlainRow,
	"upload answers as the original does":                          uploadRows,
	"download answers as the original does":                        downloadRows,
	"token, then admin, then the rest":                             theOrderOfChecks,
	"a user who may not convert":                                   theGuest,
	"who asks for JSON gets JSON":                                  theJSON,
	"a profile is chosen by field or query":                        theProfiles,
	"cbr128 is what the original makes, frame by frame":            theOriginalsMP3,
	"an MP3 is sent whole, in part, or only described":             theDownload,
	"jobs are their owner's":                                       theJobs,
	"an upload repeated under its key is one job":                  theKey,
	"a video without sound fails, says so, and can be tried again": theSilentVideo,
	"what is no video fails and says so":                           theRandomBytes,
	"uploads at once are all converted, each once":                 theCrowd,
}

func TestStoriesOfFourServices(t *testing.T) {
	t.Parallel()
	s := testsuite.FourServices(t)
	t.Cleanup(func() { quiet(t, s.Auth, s.Gateway, s.Converter, s.Notification) })
	tell(t, told, s.Suite)
	tell(t, toldOfServers, s)
}

func TestStoriesOfOneProgram(t *testing.T) {
	t.Parallel()
	s := testsuite.OneProgram(t)
	t.Cleanup(func() { quiet(t, s.Process) })
	tell(t, told, s.Suite)
}

// quiet fails the test if a program has had any trouble: the stories make none that is the system's. Nor is it when a busy machine
// has had one program wait for another in vain, and a client come again.
func quiet(t *testing.T, all ...*testsuite.Process) {
	for _, p := range all {
		if troubles := slices.DeleteFunc(p.Troubles(), testsuite.IsHeldUp); len(troubles) > 0 {
			t.Errorf("%s has said:\n%s", p.Name, strings.Join(troubles, ""))
		}
	}
}

// tell runs stories at once.
func tell[S any](t *testing.T, stories map[string]func(*testing.T, S), s S) {
	t.Helper()
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, s)
		})
	}
}
