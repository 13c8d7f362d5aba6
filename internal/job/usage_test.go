package job

import (
	"errors"
	"testing"
)

func TestAReservationOnlyShrinksOnceItIsStored(t *testing.T) {
	j := New(start, rules, video.ID, "sid@gmail.com")
	if err := errors.Join(j.Reserve(10), j.Reserve(2000)); err != nil || j.VideoBytes != 2000 {
		t.Errorf("before it is stored: %d bytes, %v", j.VideoBytes, err)
	}
	j.Version = 1
	if err := j.Reserve(2001); !errors.Is(err, ErrState) || j.VideoBytes != 2000 {
		t.Errorf("a larger one: %d bytes, %v, want ErrState", j.VideoBytes, err)
	}
	if err := j.Reserve(1500); err != nil || j.VideoBytes != 1500 {
		t.Errorf("a smaller one: %d bytes, %v", j.VideoBytes, err)
	}
	if err := j.Arrived(start, rules, video); err != nil || j.VideoBytes != video.Bytes {
		t.Errorf("arrived with %d bytes, %v, want the video's own", j.VideoBytes, err)
	}
	if err := j.Reserve(1); !errors.Is(err, ErrState) || j.VideoBytes != video.Bytes {
		t.Errorf("after it has arrived: %d bytes, %v, want ErrState", j.VideoBytes, err)
	}
}
