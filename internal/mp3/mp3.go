// Package mp3 knows what a stream of MPEG audio layer III is made of, and joins parts of a sound that were encoded
// independently, exactly. It knows no encoder and no decoder; internal/ffmpeg runs those.
package mp3
