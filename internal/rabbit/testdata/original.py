"""The original system's side of the queue, with its own client library, pika.

original.py publish URL QUEUE VIDEO_FID USERNAME   what its gateway does after an upload
original.py get URL QUEUE                          takes one message, prints it as JSON
"""
import json
import sys

import pika


def publish(channel, queue, video_fid, username):
    message = {"video_fid": video_fid, "mp3_fid": None, "username": username}
    channel.basic_publish(
        exchange="",
        routing_key=queue,
        body=json.dumps(message),
        properties=pika.BasicProperties(delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE),
    )


def get(channel, queue):
    method, properties, body = channel.basic_get(queue)
    if method is None:
        sys.exit("the queue is empty")
    channel.basic_ack(method.delivery_tag)
    message = json.loads(body)
    print(json.dumps({"message": message, "delivery_mode": properties.delivery_mode}))


def main(command, url, *arguments):
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        {"publish": publish, "get": get}[command](connection.channel(), *arguments)


main(*sys.argv[1:])
