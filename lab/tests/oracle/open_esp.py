"""Opens captured ESP in UDP with Scapy and prints one JSON line for each packet.

usage: open_esp.py CAPTURE KEYS SUITE OUTER=V4,V6 OUTER=V4,V6

KEYS holds lines of Wireshark's esp_sa table; the last two say whose overlay addresses stand behind an outer address.
Everything is Scapy's own but the implicit IV (RFC 8750), which it lacks: there the IV is the sequence number.
"""

import csv
import json
import struct
import sys

from scapy.all import IP, IPv6, TCP, UDP, ICMP, PcapReader, conf, raw
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6EchoReply
from scapy.layers.ipsec import CRYPT_ALGOS, ESP, CryptAlgo, SecurityAssociation
from scapy.packet import bind_layers

conf.verb = 0


class ImplicitIv(CryptAlgo):
    """AES-GCM whose IV is the sequence number and is not sent."""

    def decrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
        esp = esp.copy()
        esp.data = struct.pack("!II", 0, esp.seq) + esp.data
        return super().decrypt(sa, esp, key, icv_size, esn_en, esn)


CRYPT_ALGOS["AES-GCM-IIV"] = ImplicitIv(
    "AES-GCM-IIV",
    cipher=CRYPT_ALGOS["AES-GCM"].cipher,
    mode=None,
    key_size=(16, 24, 32),
    salt_size=4,
    block_size=1,
    iv_size=8,
    icv_size=16,
    format_mode_iv=lambda sa, iv, **kw: sa.crypt_salt + iv,
)
ALGORITHMS = {"aes256gcm": "AES-GCM", "aes256gcm-iiv": "AES-GCM-IIV"}


def keys_of(path):
    """The keys by SPI."""
    with open(path, encoding="ascii") as lines:
        rows = [row for row in csv.reader(lines) if len(row) > 5 and not row[0].startswith("#")]
    return {int(row[3], 16): bytes.fromhex(row[5].removeprefix("0x")) for row in rows}


def rebuilt(packet):
    """The same packet with every checksum computed anew."""
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in fresh:
            del fresh[layer].chksum
    for layer in (ICMPv6EchoRequest, ICMPv6EchoReply):
        if layer in fresh:
            del fresh[layer].cksum
    return raw(fresh)


def main(capture, keys, suite, *pairs):
    overlay = {outer: inner.split(",") for outer, inner in (pair.split("=", 1) for pair in pairs)}
    keys = keys_of(keys)
    with PcapReader(capture) as packets:
        for packet in packets:
            if UDP not in packet or IP not in packet:
                continue
            datagram = raw(packet[UDP].payload)[: packet[UDP].len - 8]
            if len(datagram) < 28 or datagram[0] >> 6 != 0b10:
                continue
            spi, sequence = struct.unpack("!II", datagram[:8])
            print(json.dumps({"spi": spi, "sequence": sequence, **opened(packet, datagram, spi, keys, suite, overlay)}))


def opened(packet, datagram, spi, keys, suite, overlay):
    if spi not in keys:
        return {"error": "no key"}
    sport, dport = packet[UDP].sport, packet[UDP].dport
    association = SecurityAssociation(
        ESP,
        spi=spi,
        crypt_algo=ALGORITHMS[suite],
        crypt_key=keys[spi],
        nat_t_header=UDP(sport=sport, dport=dport),
        esn_en=False,
        esn=0,
    )
    bind_layers(UDP, ESP, dport=dport)
    # The outer header carries the overlay addresses, so that Scapy rebuilds the inner packet as the receiver does.
    (peer,) = (addresses for outer, addresses in overlay.items() if outer != packet[IP].src)
    family = (IP, IPv6)[spi & 1]
    outer = family(src=overlay[packet[IP].src][spi & 1], dst=peer[spi & 1])
    sealed = outer / UDP(sport=sport, dport=dport, chksum=0) / ESP(datagram)
    try:
        inner = association.decrypt(family(raw(sealed)))
    except Exception as error:  # whatever Scapy raises is the verdict
        return {"error": repr(error)}
    inner = inner.__class__(raw(inner))
    result = {"protocol": inner.proto if IP in inner else inner.nh, "bytes": raw(inner).hex()}
    if any(layer in inner for layer in (TCP, UDP, ICMP)):
        result["checksum"] = rebuilt(inner) == raw(inner)
    return result


main(*sys.argv[1:])
