"""What a PyMongo user does with GridFS, for the interop test.

put URI DATABASE          stores the files of FILES below, prints "name id" for each
get URI DATABASE ID       prints the file's name and length in a line, then its bytes
"""

import sys

import gridfs
import pymongo
from bson import ObjectId


def pattern(size):
    """The same bytes as pattern in the Go test."""
    return bytes((i * i + i // 251) % 256 for i in range(size))


FILES = [
    ("plain", 600_000, {}),
    ("empty", 0, {}),
    ("small chunks", 10_001, {"chunk_size": 100}),
    ("large chunks", 1_500_000, {"chunk_size": 1 << 20}),
    ("typed", 5, {"content_type": "video/mp4", "metadata": {"owner": "sid@gmail.com"}}),
    ("odd metadata", 5, {"metadata": {"owner": 7, "sha256": None}}),
]


def put(fs):
    for name, size, options in FILES:
        print(name, fs.put(pattern(size), filename=name, **options), sep="\t")


def get(fs, fid):
    out = fs.get(ObjectId(fid))
    sys.stdout.buffer.write(f"{out.filename} {out.length}\n".encode() + out.read())


command, uri, database, *rest = sys.argv[1:]
{"put": put, "get": get}[command](gridfs.GridFS(pymongo.MongoClient(uri)[database]), *rest)
