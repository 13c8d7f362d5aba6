package checker_test

import (
	"bytes"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/checker"
)

// plant is a violation, and what must be found of it.
type plant struct {
	do    func(w *world)
	want  map[string]string // by invariant: whom its message must name; no other may be reported
	allow checker.Allowed   // beside the poison
}

// The plants, by the invariant that they are about; a plant may rightly break others too.
var plants = map[string]map[string]plant{
	"I1": {
		"accepted job gone with all its files and its mail": {
			do:   func(w *world) { w.removeJob(oneJob, oneMP3); w.unmail(oneJob) },
			want: map[string]string{"I1": oneJob},
		},
		"accepted job gone, files and mail are there": {
			do:   func(w *world) { w.remove("jobs", "jobs", bson.M{"_id": oneJob}) },
			want: map[string]string{"I1": oneJob, "I3": oneMP3, "I10": oneMP3},
		},
		"accepted job deleted": {
			do:   func(w *world) { w.set(oneJob, bson.M{"state": "deleted"}) },
			want: map[string]string{"I1": oneJob, "I7": oneJob, "I10": oneMP3},
		},
		"stuck converting": {
			do:   func(w *world) { w.unmake(oneJob, oneMP3, bson.M{"state": "converting", "mail": ""}); w.unmail(oneJob) },
			want: map[string]string{"I1": oneJob},
		},
		"stuck converted": {
			do:   func(w *world) { w.set(oneJob, bson.M{"state": "converted", "mail": "pending"}); w.unmail(oneJob) },
			want: map[string]string{"I1": oneJob},
		},
		"good video failed": {
			do: func(w *world) {
				w.unmake(oneJob, oneMP3, bson.M{"state": "failed", "reason": "crashed"})
				w.about(oneJob).Subject, w.about(oneJob).Body = "MP3 conversion failed", "Your file could not be converted.\n"
			},
			want: map[string]string{"I1": oneJob},
		},
		"failed without a reason": {
			do:    func(w *world) { w.set(badJob, bson.M{"reason": ""}) },
			want:  map[string]string{"I1": badJob},
			allow: checker.Allowed{MayFail: true},
		},
		"failed for another reason": {
			do:    func(w *world) { w.set(badJob, bson.M{"reason": "crashed"}) },
			want:  map[string]string{"I1": badJob},
			allow: checker.Allowed{MayFail: true},
		},
		"done although the video is bad": {
			do: func(w *world) {
				w.file("mp3s", newMP3, badJob, w.one.mp3)
				w.set(badJob, bson.M{"state": "done", "reason": "", "mp3": newMP3, "mp3_bytes": len(w.one.mp3)})
				*w.about(badJob) = ready(bob, badJob, newMP3)
			},
			want: map[string]string{"I1": badJob},
		},
		"wrong profile": {
			do:   func(w *world) { w.set(voiceJob, bson.M{"profile": "standard"}) },
			want: map[string]string{"I1": voiceJob},
		},
		"mail not noted": {
			do:   func(w *world) { w.set(oneJob, bson.M{"mail": "pending"}) },
			want: map[string]string{"I1": oneJob},
		},
		"mail refused": {
			do:    func(w *world) { w.set(oneJob, bson.M{"mail": "failed"}); w.unmail(oneJob) },
			want:  map[string]string{"I1": oneJob, "I4": oneJob},
			allow: checker.Allowed{MailRefused: map[string]bool{bob: true}},
		},
		"job of another owner": {
			do:   func(w *world) { w.set(oneJob, bson.M{"owner": bob}); w.about(oneJob).To = bob },
			want: map[string]string{"I1": oneJob},
		},
		"one job for two uploads": {
			do:   func(w *world) { w.told(w.one.upload(ann, "", 200, oneJob)) },
			want: map[string]string{"I1": oneJob},
		},
	},
	"I2": {
		"last chunk missing": {
			do:   func(w *world) { w.remove("mp3s", "fs.chunks", bson.M{"files_id": oid(oneMP3), "n": last(w.one.mp3)}) },
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": its chunks hold", "I10": ann},
		},
		"first chunk missing": {
			do:   func(w *world) { w.remove("mp3s", "fs.chunks", bson.M{"files_id": oid(oneMP3), "n": 0}) },
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": chunk 1 stands where chunk 0 should", "I10": ann},
		},
		"two chunks in the place of each other": {
			do: func(w *world) {
				w.setChunk("mp3s", oneMP3, 0, w.one.mp3[chunkSize:2*chunkSize])
				w.setChunk("mp3s", oneMP3, 1, w.one.mp3[:chunkSize])
			},
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": its bytes have SHA-256"},
		},
		"too short": {
			do:   func(w *world) { w.remake(keyedJob, keyedMP3, w.one.mp3) },
			want: map[string]string{"I2": keyedMP3 + " of job " + keyedJob + ": it sounds for"},
		},
		"too long": {
			do:   func(w *world) { w.remake(oneJob, oneMP3, w.keyed.mp3) },
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": it sounds for"},
		},
		"ends early": {
			do:   func(w *world) { w.remake(voiceJob, voiceMP3, w.voice.mp3[:len(w.voice.mp3)-2*chunkSize]) },
			want: map[string]string{"I2": voiceMP3 + " of job " + voiceJob + ": it sounds for"},
		},
		"made differently by another attempt": {
			do:   func(w *world) { w.remake(oneJob, oneMP3, w.other) },
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": it is not the one"},
		},
		"made differently for another job of the same video": {
			do: func(w *world) {
				v := w.one
				v.mp3 = w.other
				w.told(v.upload(bob, "", 200, newJob))
				w.add(v, bob)
			},
			want: map[string]string{"I2": newMP3 + " of job " + newJob + ": it is not the one"},
		},
		"no MP3": {
			do:   func(w *world) { w.remake(oneJob, oneMP3, bytes.Repeat([]byte("no mp3 "), 3000)) },
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": it does not decode"},
		},
		"damaged in the middle": {
			do: func(w *world) {
				damaged := slices.Clone(w.one.mp3)
				copy(damaged[len(damaged)/2:], bytes.Repeat([]byte("damage "), 200))
				w.remake(oneJob, oneMP3, damaged)
			},
			want: map[string]string{"I2": oneMP3 + " of job " + oneJob + ": it does not decode"},
		},
		"empty": {
			do:   func(w *world) { w.remake(oneJob, oneMP3, nil) },
			want: map[string]string{"I2": oneMP3},
		},
	},
	"I3": {
		"two jobs name one MP3": {
			do: func(w *world) {
				w.told(w.one.upload(ann, "", 200, newJob))
				w.add(w.one, ann)
				w.removeFile("mp3s", newMP3)
				w.set(newJob, bson.M{"mp3": oneMP3})
				w.about(newJob).Body = ready(ann, newJob, oneMP3).Body
			},
			want: map[string]string{"I3": "jobs " + oneJob + " and " + newJob + " name the same mp3 " + oneMP3, "I10": ann},
		},
		"MP3 of another job": {
			do:   func(w *world) { w.replace("mp3s", oneMP3, keyedJob, w.one.mp3) },
			want: map[string]string{"I3": oneMP3 + " of job " + oneJob + " was made for job " + keyedJob},
		},
		"unreferenced MP3": {
			do:   func(w *world) { w.file("mp3s", newMP3, oneJob, w.other) },
			want: map[string]string{"I3": newMP3, "I10": newMP3},
		},
		"unreferenced video": {
			do:   func(w *world) { w.file("videos", newJob, newJob, w.one.data) },
			want: map[string]string{"I3": newJob, "I10": newJob},
		},
		"unreferenced empty MP3": {
			do:   func(w *world) { w.file("mp3s", newMP3, oneJob, nil) },
			want: map[string]string{"I3": newMP3},
		},
		"video gone": {
			do:   func(w *world) { w.removeFile("videos", oneJob) },
			want: map[string]string{"I3": oneJob, "I10": ann},
		},
		"MP3 gone": {
			do:   func(w *world) { w.removeFile("mp3s", oneMP3) },
			want: map[string]string{"I3": oneMP3, "I10": ann},
		},
		"video noted as gone, and there": {
			do:   func(w *world) { w.set(oneJob, bson.M{"video_gone": true}) },
			want: map[string]string{"I3": "video of job " + oneJob},
		},
		"MP3 noted as gone, and there": {
			do:   func(w *world) { w.set(oneJob, bson.M{"mp3_gone": true}) },
			want: map[string]string{"I3": "mp3 " + oneMP3},
		},
		"video gone while it is needed": {
			do: func(w *world) {
				w.removeFile("videos", oneJob)
				w.set(oneJob, bson.M{"state": "converting", "video_gone": true, "video_bytes": 0})
			},
			want: map[string]string{"I1": oneJob, "I3": "video of job " + oneJob + " is gone while it is converting"},
		},
		"done without an MP3": {
			do: func(w *world) {
				w.unmake(oneJob, oneMP3, bson.M{})
				w.about(oneJob).Body = ready(ann, oneJob, "").Body
			},
			want: map[string]string{"I3": oneJob},
		},
		"failed with an MP3": {
			do: func(w *world) {
				w.file("mp3s", newMP3, badJob, w.one.mp3)
				w.set(badJob, bson.M{"mp3": newMP3, "mp3_bytes": len(w.one.mp3)})
			},
			want: map[string]string{"I3": badJob},
		},
	},
	"I4": {
		"no mail": {
			do:    func(w *world) { w.unmail(oneJob) },
			want:  map[string]string{"I4": oneJob},
			allow: checker.Allowed{DuplicateMails: true, MailRefused: map[string]bool{ann: true}},
		},
		"no mail about a failure": {
			do:   func(w *world) { w.unmail(badJob) },
			want: map[string]string{"I4": badJob},
		},
		"the same mail twice": {
			do:   func(w *world) { w.mail(*w.about(oneJob)) },
			want: map[string]string{"I4": oneJob},
		},
		"a second mail of another Message-ID": {
			do: func(w *world) {
				m := *w.about(oneJob)
				m.MessageID = "<" + oneJob + ".again@example.com>"
				w.mail(m)
			},
			want:  map[string]string{"I4": oneJob + ".again"},
			allow: checker.Allowed{DuplicateMails: true},
		},
		"a second mail of another Date": {
			do: func(w *world) {
				m := *w.about(badJob)
				m.Date = m.Date.Add(1)
				w.mail(m)
			},
			want:  map[string]string{"I4": "two mails about job " + badJob},
			allow: checker.Allowed{DuplicateMails: true},
		},
		"to somebody else": {
			do:   func(w *world) { w.about(oneJob).To = bob },
			want: map[string]string{"I4": oneJob + " of ann@example.com went to bob@example.com"},
		},
		"the second one to somebody else": {
			do: func(w *world) {
				m := *w.about(oneJob)
				m.To = bob
				w.mail(m)
			},
			want:  map[string]string{"I4": oneJob},
			allow: checker.Allowed{DuplicateMails: true},
		},
		"wrong first line": {
			do:   func(w *world) { w.about(oneJob).Body = "Hello!\n" + w.about(oneJob).Body },
			want: map[string]string{"I4": oneJob},
		},
		"another's MP3 in the first line": {
			do:   func(w *world) { w.about(oneJob).Body = w.about(keyedJob).Body },
			want: map[string]string{"I4": oneJob},
		},
		"a failure is called a success": {
			do:   func(w *world) { w.about(badJob).Body = ready(bob, badJob, newMP3).Body },
			want: map[string]string{"I4": badJob},
		},
		"a failure has the subject of a success": {
			do:   func(w *world) { w.about(badJob).Subject = w.about(oneJob).Subject },
			want: map[string]string{"I4": badJob},
		},
		"taken and noted as refused": {
			do:    func(w *world) { w.set(oneJob, bson.M{"mail": "failed"}) },
			want:  map[string]string{"I4": oneJob},
			allow: checker.Allowed{MailRefused: map[string]bool{ann: true}},
		},
	},
	"I5": {
		"job that nobody sent": {
			do:   func(w *world) { w.add(w.late, "eve@example.com") },
			want: map[string]string{"I5": newJob},
		},
		"job of another video than was sent": {
			do: func(w *world) {
				w.told(w.one.upload(bob, "", 0, ""))
				v := w.late
				v.name = w.one.name
				w.add(v, bob)
			},
			want: map[string]string{"I5": newJob},
		},
		"a second job of one upload": {
			do:   func(w *world) { w.add(w.one, ann) },
			want: map[string]string{"I5": newJob},
		},
		"two jobs of one try without an answer": {
			do: func(w *world) {
				w.told(w.late.upload(ann, "", 0, ""))
				w.add(w.late, ann)
				w.addAs(w.late, ann, otherJob, otherMP3)
			},
			want: map[string]string{"I5": ann},
		},
		"mail about no job": {
			do:   func(w *world) { w.mail(ready(ann, newJob, newMP3)) },
			want: map[string]string{"I5": newJob},
		},
		"mail without a job's id": {
			do: func(w *world) {
				m := *w.about(oneJob)
				m.MessageID = "<1@example.com>"
				w.mail(m)
			},
			want: map[string]string{"I5": "<1@example.com>"},
		},
	},
	"I6": {
		"orphan chunks in videos": {
			do:   func(w *world) { w.chunk("videos", newJob, 0, w.one.data[:chunkSize]) },
			want: map[string]string{"I6": "videos: 1 chunks of file " + newJob, "I10": newJob},
		},
		"orphan chunks in mp3s": {
			do:   func(w *world) { w.chunk("mp3s", newMP3, 7, w.one.mp3[:10]) },
			want: map[string]string{"I6": "mp3s: 1 chunks of file " + newMP3, "I10": newMP3},
		},
		"a job's video is chunks only": {
			do:   func(w *world) { w.remove("videos", "fs.files", bson.M{"_id": oid(oneJob)}) },
			want: map[string]string{"I6": oneJob, "I3": oneJob},
		},
		"a chunk of a video twice": {
			do:   func(w *world) { w.chunk("videos", oneJob, 1, w.one.data[chunkSize:2*chunkSize]) },
			want: map[string]string{"I6": oneJob, "I10": oneJob},
		},
		"a chunk of an MP3 twice": {
			do:   func(w *world) { w.chunk("mp3s", oneMP3, 0, w.one.mp3[:chunkSize]) },
			want: map[string]string{"I6": oneMP3, "I2": oneMP3, "I10": ann},
		},
		"an empty chunk too many": {
			do:   func(w *world) { w.chunk("mp3s", oneMP3, 0, nil) },
			want: map[string]string{"I6": oneMP3, "I2": oneMP3},
		},
	},
	"I7": {
		"503 and its job is there": {
			do:   func(w *world) { w.add(w.late, bob) },
			want: map[string]string{"I7": newJob},
		},
		"413 and its job is there": {
			do: func(w *world) {
				w.told(w.late.upload(ann, "big", 413, ""))
				w.add(w.late, ann)
			},
			want: map[string]string{"I7": newJob},
		},
		"503 under a key became a second job when it was repeated": {
			do: func(w *world) {
				w.told(w.late.upload(ann, "again", 503, ""))
				w.told(w.late.upload(ann, "again", 200, newJob))
				w.add(w.late, ann)
				w.addAs(w.late, ann, otherJob, otherMP3)
			},
			want: map[string]string{"I7": "key \"again\" of ann@example.com has the jobs " + newJob + " and " + otherJob},
		},
		"two jobs of one key, both told": {
			do: func(w *world) {
				w.told(w.keyed.upload(ann, key, 200, newJob))
				w.add(w.keyed, ann)
			},
			want: map[string]string{"I7": keyedJob + " and " + newJob},
		},
		"two jobs of one key, one told": {
			do:   func(w *world) { w.add(w.keyed, ann) },
			want: map[string]string{"I7": keyedJob + " and " + newJob},
		},
		"two jobs of one key, none told": {
			do: func(w *world) {
				w.told(w.late.upload(ann, "mute", 0, ""))
				w.told(w.late.upload(ann, "mute", 0, ""))
				w.add(w.late, ann)
				w.addAs(w.late, ann, otherJob, otherMP3)
			},
			want: map[string]string{"I7": otherJob},
		},
		"two jobs have one key in the store": {
			do:   func(w *world) { w.set(voiceJob, bson.M{"key": "id:" + oneJob}) },
			want: map[string]string{"I7": voiceJob},
		},
		"left uploading": {
			do: func(w *world) {
				w.insert("jobs", "jobs", bson.M{"_id": newJob, "owner": ann, "key": "id:" + newJob, "state": "uploading"})
			},
			want: map[string]string{"I7": newJob},
		},
		"left uploading with its first chunk": {
			do: func(w *world) {
				w.insert("jobs", "jobs", bson.M{"_id": newJob, "owner": ann, "key": "id:" + newJob, "state": "uploading"})
				w.chunk("videos", newJob, 0, w.one.data[:chunkSize])
			},
			want: map[string]string{"I7": newJob, "I6": newJob, "I10": newJob},
		},
		"left deleted": {
			do: func(w *world) {
				w.insert("jobs", "jobs", bson.M{"_id": newJob, "owner": bob, "key": "id:" + newJob, "state": "deleted"})
			},
			want: map[string]string{"I7": newJob},
		},
	},
	"I8": {
		"message ready": {
			do:   func(w *world) { w.seen.Queues[0].Ready = 1 },
			want: map[string]string{"I8": "queue video"},
		},
		"message not settled": {
			do:   func(w *world) { w.seen.Queues[1].Unacked = 1 },
			want: map[string]string{"I8": "queue mp3"},
		},
		"unplanned dead letter": {
			do: func(w *world) {
				w.seen.Dead = append(w.seen.Dead, checker.DeadLetter{Queue: "mp3.dead", Body: "a message about " + oneJob})
			},
			want: map[string]string{"I8": "mp3.dead that nobody planted: \"a message about " + oneJob},
		},
		"poison twice": {
			do:   func(w *world) { w.seen.Dead = append(w.seen.Dead, w.seen.Dead[0]) },
			want: map[string]string{"I8": "video.dead that nobody planted: \"{not json"},
		},
		"poison missing": {
			do:   func(w *world) { w.seen.Dead = nil },
			want: map[string]string{"I8": poison},
		},
		"poison missing and another there": {
			do:   func(w *world) { w.seen.Dead[0].Body += "!" },
			want: map[string]string{"I8": poison},
		},
	},
	"I9": {
		"goroutines": {
			do:   func(w *world) { w.seen.Processes[0].Goroutines = 200 },
			want: map[string]string{"I9": "gateway has 200 goroutines"},
		},
		"memory": {
			do:   func(w *world) { w.seen.Processes[1].RSS = 200 << 20 },
			want: map[string]string{"I9": "converter has 200 MiB"},
		},
		"an extra start": {
			do:   func(w *world) { w.seen.Processes[0].Starts++ },
			want: map[string]string{"I9": "gateway"},
		},
		"died": {
			do: func(w *world) {
				w.seen.Processes[0] = checker.Process{Name: "gateway", Expected: 1, BaseGoroutines: 15, BaseRSS: 50 << 20}
			},
			want: map[string]string{"I9": "gateway"},
		},
	},
	"I10": {
		"a byte of a video changed": {
			do: func(w *world) {
				changed := slices.Clone(w.one.data[:chunkSize])
				changed[100] ^= 1
				w.setChunk("videos", oneJob, 0, changed)
			},
			want: map[string]string{"I10": "video " + oneJob + ": its bytes have SHA-256"},
		},
		"another video than the job says": {
			do:   func(w *world) { w.replace("videos", oneJob, oneJob, flipped(w.one.data)) },
			want: map[string]string{"I10": "video " + oneJob + " has"},
		},
		"another video than was sent": {
			do: func(w *world) {
				w.replace("videos", oneJob, oneJob, flipped(w.one.data))
				w.set(oneJob, bson.M{"video_sha256": sum(flipped(w.one.data))})
			},
			want: map[string]string{"I10": "video " + oneJob + " is not what was sent"},
		},
		"half of the video": {
			do: func(w *world) {
				half := w.one.data[:len(w.one.data)/2]
				w.replace("videos", oneJob, oneJob, half)
				w.set(oneJob, bson.M{"video_bytes": len(half), "video_sha256": sum(half)})
			},
			want: map[string]string{"I10": "video " + oneJob + " is not what was sent"},
		},
		"video byte sum off": {
			do:   func(w *world) { w.set(oneJob, bson.M{"video_bytes": len(w.one.data) + 1}) },
			want: map[string]string{"I10": ann},
		},
		"MP3 byte sum off": {
			do:   func(w *world) { w.set(voiceJob, bson.M{"mp3_bytes": 0}) },
			want: map[string]string{"I10": bob},
		},
		"two jobs are off and the sum is right": {
			do: func(w *world) {
				w.set(oneJob, bson.M{"mp3_bytes": len(w.one.mp3) + 1})
				w.set(keyedJob, bson.M{"mp3_bytes": len(w.keyed.mp3) - 1})
			},
			want: map[string]string{"I10": oneMP3},
		},
		"a chunk of a video is shorter": {
			do:   func(w *world) { w.setChunk("videos", badJob, 0, w.bad.data[:3]) },
			want: map[string]string{"I10": badJob},
		},
		"a chunk of an MP3 is shorter": {
			do:   func(w *world) { w.setChunk("mp3s", oneMP3, 0, w.one.mp3[:chunkSize-1]) },
			want: map[string]string{"I10": ann, "I2": oneMP3},
		},
	},
}
