#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The power goes at any moment. A trace of all writes, renames and syncs of
signing is cut at a random place, and log and outputs are built anew as the
power loss could leave them: unsynced writes dropped, kept, torn or garbled,
unsynced names there or not. What was promised by then must hold: whatever was
reported is out, and valid; no output is without its record; the log is not
behind a head that was kept elsewhere, and has the intent of each signature.
Then the list is gone on with, and now and then the power goes again.

OFS_CASES says how many cuts. OFS_NO_SYNC=REGEX: as if the syncs of these paths
did nothing, to see this test fail."""
import copy
import json
import os
import re
import shutil
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
from powerloss import DATA, NAMES, Disk, read_trace  # noqa: E402
from station import (BUILD, LONG, Broken, Case, Log,  # noqa: E402
                     Station, Tap, calls, demand, each_case)

ITEMS = int(os.environ.get('OFS_ITEMS') or 120)
CASES = int(os.environ.get('OFS_CASES') or (200 if LONG else 8))
NO_SYNC = os.environ.get('OFS_NO_SYNC')
HEAD_SLOT = 4096


def where(i):
    """Directories with many, with few and with one, some below others."""
    if i % 3 == 0:
        return f'many/order-{i}'
    return f'few/{i % 23}/order-{i}'


class Traced:
    """What a run does, from the station as it is before it."""

    def __init__(self, case, *more, disk=None):
        trace, said = case.dir + '.trace', case.dir + '.said'
        case.spent += forget(case.counts)
        self.disk = disk or Disk(case.dir)
        case.station.mend_token()
        # a slow token makes small chunks: more places to cut
        r = case.station.run(
            'sh', '-c', 'exec "$@" >"$0"', said, *case.command(*more), env={
                'LD_PRELOAD': f'{BUILD}/test/lib/iotrace.so',
                'IOTRACE': trace, 'IOTRACE_DIR': case.dir,
                'IOTRACE_COUNTS': case.counts,
                'FAULTP11_COUNTS': case.counts,
                'FAULTP11_SCRIPT': 'latency 4ms'})
        demand(r.rc in (0, 1), f'a traced run: {r}')
        self.events = read_trace(trace)
        with open(said, 'rb') as f:
            self.said = f.read()
        whole = copy.deepcopy(self.disk)
        for e in self.events:
            whole.apply(e)
        demand(whole.tree() == Disk(case.dir).tree(),
               'the trace does not lead to what is there')
        if NO_SYNC:
            self.events = [e for e in self.events if e.op not in 'sS' or
                           not re.search(NO_SYNC, e.path)]
        for path in (trace, said, case.counts):
            forget(path)

    def cut(self, at):
        """The disk at that event, calls of C_Sign, outputs reported by then."""
        disk, last = copy.deepcopy(self.disk), self.events[at - 1]
        for e in self.events[:at]:
            disk.apply(e)
        lines = self.said[:last.said].rpartition(b'\n')[0].splitlines()
        reported = [x['signature'] for x in map(json.loads, lines)
                    if x['type'] == 'item' and x['status'] == 'signed']
        return disk, last.calls, reported


def forget(path):
    n = calls(path) if path.endswith('.counts') else 0
    if os.path.exists(path):
        os.unlink(path)
    return n


def head_size(slots):
    """How many records the newest slot of a head file knows of."""
    best = 0
    for at in range(0, len(slots or b'') - HEAD_SLOT + 1, HEAD_SLOT):
        magic, version = struct.unpack_from('>IH', slots, at)
        if (magic, version) == (0x4f465348, 1):
            best = max(best, struct.unpack_from('>Q', slots, at + 22)[0])
    return best


def read_log(case, head):
    """The log; it may be missing only while it is made."""
    if head == 0 and case.log is None and case.station.run(
            'ofs-audit', 'verify', '--audit', case.log_dir).rc != 0:
        return None
    return Log(case.station, case.log_dir)


def check_after(case, disk, spent, reported):
    """What must hold when the power is back, before anything is repaired."""
    before = len(case.log.records) if case.log else 0
    head = head_size(disk.read_now(f'{case.log_dir}/log.head'))
    case.log = log = read_log(case, head)
    if log is None:
        demand(spent == 0 and not reported and not case.released(),
               f'no log, and {spent} calls of C_Sign')
        return
    demand(log.report['records'] >= head,
           f'{log.report["records"]} records, a head elsewhere knows of {head}')
    demand(spent == 0 or os.path.exists(f'{case.log_dir}/log.head'),
           'the token was asked, and there is no head file')
    case.check_released()
    for path in reported:
        path = os.path.join(case.station.dir, path)
        demand(os.path.exists(path), f"'{path}' was reported and is gone")
    unanswered = log.unanswered(before)
    lost = spent - log.attempts(before)
    demand(0 <= lost <= unanswered, f'{lost} calls of C_Sign without outcome, '
           f'{unanswered} items without')
    case.unanswered += unanswered
    case.lost += lost


def power_loss(case, traced, at=None, data=None, names=None):
    """At that event, or any; returns the disk as it was in memory."""
    global cuts
    at = at or case.rng.randint(1, len(traced.events))
    disk, spent, reported = traced.cut(at)
    data = data or case.rng.choice(DATA)
    names = names or case.rng.choice(NAMES)
    shutil.rmtree(case.dir)
    disk.build(data, names, case.rng)
    cuts += 1
    case.spent += spent
    try:
        check_after(case, disk, spent, reported)
    except Broken as e:
        raise Broken(f'cut at {at} of {len(traced.events)} '
                     f'({traced.events[at - 1]}), data {data}, names {names}: '
                     f'{e}') from e
    return disk


def killed(case, traced):
    """A run ends when it has made a directory, and the power goes when the
    next one is done: it finds that directory, and is not to rely on it."""
    made = [i for i, e in enumerate(traced.events, 1)
            if e.op == 'd' and (e.path + '/').startswith(case.out + '/')]
    at = case.rng.choice(made)
    disk = power_loss(case, traced, at, 'kept', 'kept')
    disk.inodes = {}
    more = Traced(case, *case.go_on(), disk=disk)
    power_loss(case, more, len(more.events), 'dropped', 'dropped')
    demand(len(case.released()) == case.station.items,
           f"killed behind '{traced.events[at - 1]}': {case.released()} are "
           'all that is left')


def new_case(seed, kind):
    case = Case(stations[kind], seed)
    if kind == 'new-log':
        shutil.rmtree(case.log_dir)
        case.log = None
    return case


def run_case(kind, seed):
    case = new_case(seed, kind)
    try:
        if kind == 'killed':
            killed(case, traces[kind])
        else:
            power_loss(case, traces[kind])
        while case.log and case.rng.random() < 0.25:
            more = case.go_on() + case.rng.choice([[], ['--resign-unknown']])
            power_loss(case, Traced(case, *more))
        if case.log is None:
            demand(case.sign().rc == 0, 'a run after the log was not made')
        case.finish()
    finally:
        case.clear()


def trace(kind):
    case = new_case(0, kind)
    try:
        return Traced(case)
    finally:
        case.clear()


KINDS = {
    'power': 'what was promised holds, and it goes on',
    'new-log': 'the same while the log is made',
    'few': 'the same of a few items, whose files are synced one by one',
    'killed': 'and after a run that was killed when it had made a directory',
}
tap = Tap()
cuts = 0
station = Station(ITEMS, 'ec:P-256', where)
few = Station(3, 'ec:P-256', lambda i: f'one/of/few-{i}')
stations = {'power': station, 'new-log': station, 'few': few,
            'killed': few}
try:
    traces = {k: trace(k) for k in KINDS}
    print('# events in a run: ' + ', '.join(
        f'{len(t.events)} ({k})' for k, t in traces.items()))
    each_case(tap, KINDS, CASES, run_case)
    print(f'# {cuts} power losses')
finally:
    station.close()
    few.close()
tap.done()
