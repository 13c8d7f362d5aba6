package page_test

import (
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m, browser.Close) }
