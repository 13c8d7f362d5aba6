"""The original system's side of the wires, with its own client libraries: pika, PyMongo, gridfs.

original.py publish URL QUEUE VIDEO_FID MP3_FID USERNAME   a message as its services publish it; MP3_FID - is null
original.py raw URL QUEUE BODY                             any body, without properties
original.py get URL QUEUE                                  takes a message, prints it with its properties as JSON
original.py put URI DATABASE FILE                          stores a file as its gateway does, prints its id
original.py read URI DATABASE FID                          prints SHA-256, length and chunk size of a file as its gateway reads it
original.py count URI DATABASE JOB                         prints how many files there are of a job
"""
import hashlib
import json
import sys


def channel(url):
    import pika

    return pika.BlockingConnection(pika.URLParameters(url)).channel()


def publish(url, queue, video_fid, mp3_fid, username):
    import pika

    message = {"video_fid": video_fid, "mp3_fid": None if mp3_fid == "-" else mp3_fid, "username": username}
    channel(url).basic_publish(
        exchange="",
        routing_key=queue,
        body=json.dumps(message),
        properties=pika.BasicProperties(delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE),
    )


def raw(url, queue, body):
    channel(url).basic_publish(exchange="", routing_key=queue, body=body)


def get(url, queue):
    ch = channel(url)
    method, properties, body = ch.basic_get(queue)
    if method is None:
        print("null")
        return
    ch.basic_ack(method.delivery_tag)
    headers = {k: str(v) for k, v in (properties.headers or {}).items()}
    print(json.dumps({"body": body.decode(), "delivery_mode": properties.delivery_mode, "headers": headers}))


def database(uri, name):
    import gridfs
    import pymongo

    return gridfs.GridFS(pymongo.MongoClient(uri)[name])


def put(uri, name, file):
    with open(file, "rb") as f:
        print(database(uri, name).put(f), end="")


def read(uri, name, fid):
    from bson.objectid import ObjectId

    out = database(uri, name).get(ObjectId(fid))
    print(hashlib.sha256(out.read()).hexdigest(), out.length, out.chunk_size)


def count(uri, name, job):
    import pymongo

    print(pymongo.MongoClient(uri)[name]["fs.files"].count_documents({"metadata.job": job}), end="")


COMMANDS = {"publish": publish, "raw": raw, "get": get, "put": put, "read": read, "count": count}
COMMANDS[sys.argv[1]](*sys.argv[2:])
