"""Reads TensorBoard's event files without TensorBoard: one line `step tag value` a scalar, `step tag count` a
histogram. Fails where a checksum or the framing is wrong.
usage: read_events.py FILE"""
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        head = data[at:at + 8]
        (length,) = struct.unpack("<Q", head)
        body = data[at + 12:at + 12 + length]
        assert struct.unpack("<I", data[at + 8:at + 12])[0] == masked(head), "checksum of a length"
        assert len(body) == length, "cut short"
        at += 12 + length
        assert struct.unpack("<I", data[at:at + 4])[0] == masked(body), "checksum of a record"
        at += 4
        yield body


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        else:
            size, at = (8, at) if wire == 1 else (4, at) if wire == 5 else varint(data, at)
            value, at = data[at:at + size], at + size
        yield number, value


for i, record in enumerate(records(open(sys.argv[1], "rb").read())):
    event = dict(fields(record))
    if i == 0:
        assert event[3] == b"brain.Event:2"
        continue
    for _, value in fields(event[5]):
        value = dict(fields(value))
        tag = value[1].decode()
        if 2 in value:
            print(event.get(2, 0), tag, "%.9g" % struct.unpack("<f", value[2]))
        else:
            histogram = dict(fields(value[5]))
            limits, counts = ([x for (x,) in struct.iter_unpack("<d", histogram[n])] for n in (6, 7))
            (count,) = struct.unpack("<d", histogram[3])
            assert limits == sorted(limits) and len(limits) == len(counts) and sum(counts) == count
            print(event.get(2, 0), tag, int(count))
