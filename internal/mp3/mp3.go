// Package mp3 knows what a stream of MPEG audio layer III is made of, and joins parts of a sound that were encoded
// independently, exactly. It is pure: it knows no encoder and no decoder; package ffmpeg runs those.
//
// # Method
//
// A frame of LAME's depends on the sound around it, on what the encoder remembers of the sound before, and on the bit
// reservoir. With the reservoir off, encodes of a sound that begin at different multiples of a frame come to agree once they
// remember the same. So each segment of the sound is encoded with LeadIn frames before it, and on beyond the beginning of the
// one after it; Joiner goes over to the next where both have made 12 equal frames in succession, at least 8 of them not
// silent. Where they have not, an OverlapError asks for another encode between the two. The header (Xing or Info, with LAME's
// extension) is then written as ffmpeg's muxer would have: frames, bytes, seek table, padding, both CRCs.
//
// Repack makes up for the reservoir that LAME could not use: it moves main data into what earlier frames leave free, and
// gives each frame the smallest bitrate that still has room. That helps variable bitrates only; a constant one becomes variable.
//
// # Promise
//
// Joined, a stream equals to the byte what one `ffmpeg -reservoir 0` with the same settings writes into a file. Repacked, it
// decodes to the same samples. It is a little smaller than one encode with the reservoir, and most frames are the same as
// that one's: not those for which LAME would have drawn on a full reservoir, few at -q:a 5, up to half of a clipped sound at
// -q:a 0. All of it holds for VBR, by the LAME 3.100 and the ffmpeg 5.1 that the tests run.
//
// Free format, and streams whose encoder has used the reservoir, are neither joined nor repacked.
package mp3
