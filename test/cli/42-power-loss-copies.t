#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The power goes while a log is backed up or a backup is restored, or just
after: a trace of all writes, renames and syncs is cut, as in 42-power-loss.t.
What was reported is there; a backup that has its name is whole; in the place of
a log stands the old one or the new one, and never a part of one. An audit key
that a log names is there, and one that is there is whole.

OFS_NO_SYNC=REGEX: as if the syncs of these paths did nothing, to see this test
fail."""
import copy
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, os.path.join(TOP, 'lib'))
from powerloss import DATA, NAMES, Disk, read_trace  # noqa: E402

BUILD = os.environ.get('OFS_BUILD') or os.path.join(TOP, '..', 'build')
LONG = os.environ.get('OFS_LONG')
NO_SYNC = os.environ.get('OFS_NO_SYNC')
CUTS = 12
RNG = random.Random(int(os.environ.get('SEED') or 1))
BASE = os.path.realpath(tempfile.mkdtemp(prefix='ofs-test.'))
DIR = BASE + '/disk'
LOG, COPY = DIR + '/log', DIR + '/copy'


def audit(*args, env=None):
    return subprocess.run(
        [BUILD + '/bin/ofs-audit', *args], capture_output=True, text=True,
        env={**os.environ, **(env or {})}, check=False)


def must(*args, env=None):
    r = audit(*args, env=env)
    if r.returncode != 0:
        sys.exit(f'Bail out! {args}: {r.stderr}')


def trace(args, before):
    """What a run does to the disk `before` is of."""
    file = BASE + '/trace'
    must(*args, env={'LD_PRELOAD': BUILD + '/test/lib/iotrace.so',
                     'IOTRACE': file, 'IOTRACE_DIR': DIR})
    events = read_trace(file)
    os.unlink(file)
    whole = copy.deepcopy(before)
    for e in events:
        whole.apply(e)
    if whole.tree() != Disk(DIR).tree():
        sys.exit('Bail out! the trace does not lead to what is there')
    return [e for e in events if not NO_SYNC or e.op not in 'sS' or
            not re.search(NO_SYNC, e.path)]


def verifies(log):
    return audit('verify', '--audit', log).returncode == 0


def restored(log):
    said = audit('list', '--audit', log, '--type', 'log-event', '--json').stdout
    return verifies(log) and '"restore"' in said


def check_backup(done):
    if done and not os.path.exists(COPY):
        return 'the backup is gone'
    if os.path.exists(COPY) and audit(
            'restore', COPY, '--audit', BASE + '/fresh').returncode != 0:
        return 'the backup is not whole'
    shutil.rmtree(BASE + '/fresh', ignore_errors=True)
    return None if verifies(LOG) else 'the log is damaged'


def check_new(done):
    if not os.path.exists(LOG):
        return 'the restored log is gone' if done else None
    return None if restored(LOG) else 'the restored log is not whole'


def check_replaced(done):
    if os.path.exists(LOG):
        if done and not restored(LOG):
            return 'the old log is still there, or the new one is damaged'
        return None if verifies(LOG) else 'neither the old nor the new log'
    if done:
        return 'the restored log is gone'
    aside = glob.glob(LOG + '.replaced.*')
    return None if any(map(verifies, aside)) else 'the old log is gone'


def check_key(done):
    key = LOG + '.audit-key'
    if done and not os.path.exists(key):
        return 'the log names an audit key that is gone'
    return None if not os.path.exists(key) or subprocess.run(
        ['openssl', 'pkey', '-in', key, '-noout'], capture_output=True,
        check=False).returncode == 0 else 'the audit key is not whole'


def cut(before, events, at, how, check):
    disk = copy.deepcopy(before)
    for e in events[:at]:
        disk.apply(e)
    shutil.rmtree(DIR)
    disk.build(*how, RNG)
    why = check(at == len(events))
    return why and f'{at} of {len(events)} events, {how}: {why}'


def run_case(name, args, check):
    before = Disk(DIR)
    kept = BASE + '/kept'
    shutil.copytree(DIR, kept)
    events = trace(args, before)
    print(f'# {name}: {len(events)} events')
    cuts = [(len(events), (d, n)) for d in DATA for n in NAMES]
    some = range(1, len(events)) if LONG else [
        RNG.randrange(1, len(events)) for _ in range(CUTS)]
    cuts += [(at, (RNG.choice(DATA), RNG.choice(NAMES))) for at in some]
    wrong = [w for w in (cut(before, events, *c, check) for c in cuts) if w]
    for w in wrong:
        print('#  ', w)
    shutil.rmtree(DIR)
    os.rename(kept, DIR)
    return not wrong


def main():
    bad = 0
    os.mkdir(DIR)
    must('init', '--plain', '--audit', LOG)
    for i in range(20):
        must('export', '--jsonl', f'{BASE}/{i}', '--audit', LOG)
    cases = [('a backup', ['backup', COPY, '--audit', LOG], check_backup),
             ('restored to nothing', ['restore', COPY, '--audit', LOG],
              check_new),
             ('restored over a log', ['restore', COPY, '--audit', LOG],
              check_replaced),
             ('an audit key', ['audit-key', '--set', 'file', '--audit', LOG],
              check_key)]
    print(f'1..{len(cases)}', flush=True)
    for n, (name, args, check) in enumerate(cases, 1):
        if n == 2:
            must('backup', COPY, '--audit', LOG)
            os.rename(LOG, BASE + '/log')
        if n == 3:
            shutil.copytree(COPY, LOG)
            os.unlink(LOG + '/backup.txt')
        good = run_case(name, args, check)
        bad += not good
        print(f'{"ok" if good else "not ok"} {n} - {name}', flush=True)
    return bad != 0


try:
    sys.exit(main())
finally:
    shutil.rmtree(BASE, ignore_errors=True)
