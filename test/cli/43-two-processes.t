#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two processes write to one log: with one key, with two keys of one token,
with two tokens. Both complete, the log is whole, every file is valid, and
neither has to wait for more than a few chunks of the other. That is read from
the order of the records and not from clocks."""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
from station import Broken, Log, Station, Tap, demand  # noqa: E402

ITEMS = 400
# chunks of one between two of the other: its turn with the token, what was
# under way at that moment, and what both announce ahead. Two or three were seen
FEW = 8


class Process:
    """What one of the two signs, and with what."""

    def __init__(self, station, name, key, cert):
        self.station, self.name = station, name
        self.key, self.cert = key, cert
        self.out = os.path.join(station.dir, name)

    def sign(self, log):
        s = self.station
        return s.run('ofs-sign', '--audit', log, '--key', self.key,
                     '--recursive', '--out', self.out, '--json', s.docs,
                     env={'FAULTP11_SCRIPT': 'latency 2ms'})

    def check(self, r):
        s = self.station
        demand(r.rc == 0, f'{self.name}: {r}')
        r = s.run('ofs-verify', '--quiet', '--trust', self.cert, '--sig',
                  self.out, '--recursive', s.docs)
        demand(r.rc == 0, f'{self.name}: not all valid: {r}')


def second_key(station, token, name):
    key = f'pkcs11:token={token};object={name}'
    cert = os.path.join(station.dir, f'{name}.pem')
    station.must('ofs-token', 'enroll', key, '--key-type', 'ec:P-256',
                 '--subject', f'/CN={name}', '--self-signed', '--cert-out',
                 cert)
    return key, cert


def second_token(station):
    box = os.path.join(station.dir, 'sandbox')
    station.must('ofs-token', 'init', '--label', 'archive', '--pin-source',
                 f'file:{box}/pin', '--so-pin-source', f'file:{box}/so-pin')


def longest_wait(log):
    """Chunks of one batch in a row while the other one was at work, too."""
    chunks = []
    for batch, same in groupby(
            log.outcomes, lambda x: (x['batch'], x['body']['intent_seq'])):
        chunks.append((batch[0], [x['seq'] for x in same]))
    ids = {c[0] for c in chunks}
    demand(len(ids) == 2, f'{len(ids)} batches')
    seqs = {i: [s for b, c in chunks if b == i for s in c] for i in ids}
    first = max(x[0] for x in seqs.values())
    last = min(x[-1] for x in seqs.values())
    both = [b for b, c in chunks if first <= c[0] <= last]
    demand(len(both) >= 4, f'only {len(both)} of {len(chunks)} chunks were '
           'signed while both ran')
    return max(len(list(g)) for _, g in groupby(both)), len(both), len(chunks)


def both_sign(station, tap, name, a, b):
    log_dir = os.path.join(station.dir, f'{a.name}.log')
    station.must('ofs-audit', 'init', '--audit', log_dir)
    try:
        # SoftHSM writes its token anew at a login, and not atomically: who
        # looks at it in that moment finds none. So the second one comes later
        with ThreadPoolExecutor(1) as pool:
            at_work = pool.submit(a.sign, log_dir)
            while not os.path.exists(a.out) and not at_work.done():
                time.sleep(0.005)
            b.check(b.sign(log_dir))
            a.check(at_work.result())
        log = Log(station, log_dir)
        demand(len(log.files()) == len(log.signed()) == 2 * ITEMS,
               f'{len(log.signed())} signed outcomes')
        demand(log.unanswered() == 0 and log.unknown() == 0, 'unknown items')
        wait, both, chunks = longest_wait(log)
        print(f'# {name}: at most {wait} chunks of one in a row; {both} of '
              f'{chunks} chunks while both ran')
        demand(wait <= FEW, f'{wait} chunks of one in a row')
        why = ''
    except Broken as e:
        why = e
    tap.ok(not why, f'{name}: both complete, neither waits long', why)


tap = Tap()
station = Station(ITEMS, 'ec:P-256')
try:
    first = station.key, station.cert
    other = second_key(station, 'sandbox', 'other')
    second_token(station)
    archive = second_key(station, 'archive', 'archive')
    for name, key in (('one key', first), ('two keys', other),
                      ('two tokens', archive)):
        short = name.replace(' ', '-')
        both_sign(station, tap, name, Process(station, short + '-a', *first),
                  Process(station, short + '-b', *key))
finally:
    station.close()
tap.done()
