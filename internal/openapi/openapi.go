// Package openapi is the description of the gateway's API: openapi.yaml, written by hand, and the page made from it. It
// serves nothing; the gateway does. Package apitest holds the gateway's answers against the document.
package openapi

import (
	_ "embed"
)

//go:embed openapi.yaml
var document []byte

// YAML is the document as it is served. Nobody may write to it.
func YAML() []byte { return document }
