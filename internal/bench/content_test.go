package main

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestNoiseIsTheSameWhicheverWayItIsRead(t *testing.T) {
	const size = 3*noisePeriod + 77
	whole, err := io.ReadAll(&noiseReader{size: size})
	if err != nil || len(whole) != size {
		t.Fatalf("%d bytes, %v, want %d", len(whole), err, size)
	}
	for from := int64(0); from < size; from += noiseMost - 13 {
		to := min(from+noiseMost, size)
		if !bytes.Equal(noise(from, to), whole[from:to]) {
			t.Errorf("noise(%d, %d) is not what a reader yields", from, to)
		}
	}
	if err := iotest.TestReader(&noiseReader{size: 100_000}, whole[:100_000]); err != nil {
		t.Error(err)
	}
}
