#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists whose runs break: killed at any moment, the disk full at any
write, EIO at any sync, the token pulled at any signature. Often the run that
goes on breaks, too. In the end every item has one released, valid signature
and one signed outcome, and every C_Sign beyond that is one whose outcome is
recorded as unknown, or as failed.

OFS_CASES says how many of each, OFS_ITEMS how long the lists are: 200 and
1,000 with OFS_LONG, fewer in the sample."""
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
from station import (BUILD, LONG, Broken, Case, Station,  # noqa: E402
                     Tap, demand, each_case)

ITEMS = int(os.environ.get('OFS_ITEMS') or (1000 if LONG else 300))
CASES = int(os.environ.get('OFS_CASES') or (200 if LONG else 3))
IOFAIL = f'{BUILD}/test/lib/iofail.so'
ENOSPC, EIO, SIGKILL = 28, 5, 0
KINDS = {
    'kill': 'killed at any moment',
    'full': 'the disk fills up at any write',
    'sync': 'EIO at any sync',
    'pull': 'the token is pulled at any signature',
}


def io_fails(case, op, errnum, times=''):
    """Where: log and outputs, or one of them. Early ones hit more often."""
    part = case.rng.choice(['/st/', '/st/', '/st/log/', '/st/out'])
    most = {'write': ITEMS, 'full': ITEMS, 'sync': 60}[op]
    if part == '/st/log/':
        most = min(most, 150)
    nth = 1 + int(case.rng.random() ** 1.5 * most)
    case.hits = case.dir + '.hits'
    return {'LD_PRELOAD': IOFAIL, 'IOFAIL_LOG': case.hits,
            'IOFAIL': f'{op} {part} {nth} {errnum} {times}'}


def kill(case, *more):
    how = case.rng.choice(['time', 'time', 'C_Sign', 'write', 'sync'])
    if how == 'time':
        return case.sign(*more, kill_after=case.rng.random() * took)
    if how == 'C_Sign':
        n = case.rng.randint(1, ITEMS)
        return case.sign(*more, env={'FAULTP11_SCRIPT': f'C_Sign {n} kill'})
    return case.sign(*more, env=io_fails(case, how, SIGKILL))


def full(case, *more):
    r = case.sign(*more, env=io_fails(case, 'full', ENOSPC))
    return must_tell(case, r)


def sync(case, *more):
    # a disk that fails once may pretend afterwards that all is well
    times = case.rng.choice(['', '1'])
    r = case.sign(*more, env=io_fails(case, 'sync', EIO, times))
    return must_tell(case, r)


def must_tell(case, r):
    if os.path.exists(case.hits):
        with open(case.hits, encoding='utf-8') as f:
            hits = f.read().splitlines()
        os.unlink(case.hits)
        # SQLite itself passes over a directory that it cannot sync
        silent = all(hit.endswith('/st/log') for hit in hits)
        # what an earlier run left, and this one makes good in the end
        warned = 'still waits for its release' in r.err
        demand(r.rc in (1, 5, 6) or (r.rc == 0 and (silent or warned)),
               f'a failure of {hits} is not told: {r}')
    return r


def pull(case, *more):
    n = case.rng.randint(1, ITEMS)
    how = case.rng.choice(['opensc', 'ykcs11', 'network'])
    back = case.rng.choice(['', '', ' back=100ms'])
    r = case.sign(*more, '--token-timeout', '20' if back else '0', env={
        'FAULTP11_SCRIPT': f'C_Sign {n} remove={how}{back}'})
    demand(r.rc in ((0, 1) if back else (0, 1, 3)), f'pulled: {r}')
    return r


BREAK = {'kill': kill, 'full': full, 'sync': sync, 'pull': pull}


def run_case(kind, seed):
    case = Case(station, seed)
    try:
        break_and_finish(case, kind)
    finally:
        case.clear()


def break_and_finish(case, kind):
    global broken, unknown, lost
    if case.rng.random() < 0.3:
        case.copies = os.path.join(case.dir, 'copies')
    BREAK[kind](case)
    while case.rng.random() < 0.4:
        more = case.go_on()
        if case.rng.random() < 0.5:
            more.append('--resign-unknown')
        BREAK[kind](case, *more)
    broken += len(case.log.signed()) < ITEMS
    case.finish()
    unknown += case.log.unknown()
    lost += case.lost


def killed_at_the_end(case):
    """Everything is signed and recorded, and nothing of it is out yet."""
    case.copies = os.path.join(case.dir, 'copies')
    r = case.sign(env={'LD_PRELOAD': IOFAIL, 'IOFAIL': 'sync /st/out 1 0'})
    state = case.station.must(
        'ofs-sign', '--list-unfinished', '--json',
        env={'OFS_AUDIT': case.log_dir}).lines()[0]
    tap.ok(r.rc == -9 and state['left'] == state['unknown'] == 0,
           'a list that lacks only its end', f'{r} {state}')
    asked = case.asked()
    r = case.sign('--resume', state['batch'])
    tap.ok(r.rc == 0, '--resume of it', r)
    tap.ok(case.asked() == asked, 'signs nothing')
    r = case.sign('--resume', state['batch'])
    tap.ok(r.rc == 5, 'and it is not unfinished any more', r)
    case.check_whole()
    case.clear()


def is_found_again(case, out):
    """Its outputs have one name before and after their directory is made."""
    os.makedirs(os.path.join(case.dir, 'real'))
    os.symlink('real', os.path.join(case.dir, 'link'))
    case.out = os.path.join(case.dir, 'real/new/one')
    case.out_as = out
    why = ''
    try:
        case.sign(env={'FAULTP11_SCRIPT': 'C_Sign 2 kill'})
        r = case.sign()
        demand(r.rc == 1, f'what is unknown: {r}')
        r = case.sign('--resign-unknown')
        demand(r.rc == 0, f'--resign-unknown: {r}')
        case.check_whole()
    except Broken as e:
        why = e
    tap.ok(not why, f'--out {out}: the list is found again', why)
    case.clear()


def asks_for_the_newest(case, n):
    """A run that goes on is killed early, perhaps before it has come to
    anything: --resume of it still knows what is unknown."""
    case.sign(env={'FAULTP11_SCRIPT': 'C_Sign 40 kill; latency 4ms'})
    case.sign(env={'LD_PRELOAD': IOFAIL, 'IOFAIL': f'sync /log/ {n} 0'})
    asked, signed = case.asked(), len(case.log.signed())
    state = case.station.must(
        'ofs-sign', '--list-unfinished', '--json',
        env={'OFS_AUDIT': case.log_dir}).lines()
    demand(len(state) == 1, f'unfinished: {state}')
    r = case.sign('--resume', state[0]['batch'])
    unknown = r.lines()[-1]['unknown']
    demand(r.rc == 1 and unknown == state[0]['unknown'] and
           case.asked() - asked == case.station.items - signed - unknown,
           f'{state[0]}: {r}')


def each_sync_is_told(few):
    """The first that fails, and only that: directories, files, the log."""
    why = ''
    for n in range(1, 100):
        case = Case(few, 0)
        case.hits = case.dir + '.hits'
        try:
            r = case.sign(env={
                'LD_PRELOAD': IOFAIL, 'IOFAIL_LOG': case.hits,
                'IOFAIL': f'sync /st/out {n} {EIO} 1'})
            more = os.path.exists(case.hits)
            must_tell(case, r)
            case.finish()
        except Broken as e:
            why = f'sync {n}: {e}'
        case.clear()
        if why or not more:
            break
    tap.ok(not why and n > 7, f'each of {n - 1} syncs of outputs', why)


tap = Tap()
station = Station(ITEMS, 'ec:P-256')
try:
    first = Case(station, 0)
    began = time.monotonic()
    r = first.sign()
    took = time.monotonic() - began
    tap.ok(r.rc == 0, f'a whole list of {ITEMS}', r)
    first.check_whole()
    first.clear()
    broken = unknown = lost = 0
    each_case(tap, KINDS, CASES, run_case)
    if not os.environ.get('OFS_CASE'):
        tap.ok(broken > 0, 'some came in the middle')
    print(f'# {broken} cases broke off; {unknown} items were unknown, '
          f'{lost} of them signed')
    some, why = Station(60, 'ec:P-256'), ''
    try:
        for n in range(6, 30, 1 if LONG else 3):
            case = Case(some, 0)
            asks_for_the_newest(case, n)
            case.clear()
    except Broken as e:
        why = f'killed at sync {n}: {e}'
    finally:
        some.close()
    tap.ok(not why, '--resume of a run that was killed early', why)
    few = Station(3, 'ec:P-256')
    try:
        killed_at_the_end(Case(few, 0))
        each_sync_is_told(few)
        for out in ('st/link/new/one', './st//real/./new/one/',
                    'st/gone/../real/new/one'):
            is_found_again(Case(few, 0), out)
    finally:
        few.close()
finally:
    station.close()
tap.done()
