# SPDX-License-Identifier: LGPL-2.1-or-later
"""A signing station that is broken and goes on, and what must hold then.

The tests of crashes share it: 41-crash-loops.t breaks processes, 42-power-loss.t
takes the power away. TAP goes to stdout, a case that fails says how to repeat
it alone.
"""
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.environ.get('OFS_TOP') or os.path.abspath(
    os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.environ.get('OFS_BUILD') or os.path.join(TOP, 'build')
SEED = int(os.environ.get('SEED') or time.time())
LONG = bool(os.environ.get('OFS_LONG'))
SIGNED, PURPOSE_DOCUMENT = 1, 1


class Broken(Exception):
    """Something that must hold does not."""


def demand(holds, why):
    if not holds:
        raise Broken(why() if callable(why) else why)


class Tap:
    """Counts and prints test points."""

    def __init__(self):
        self.n = self.failed = 0

    def ok(self, holds, name, why=''):
        self.n += 1
        self.failed += not holds
        print(f'{"ok" if holds else "not ok"} {self.n} - {name}')
        for line in [] if holds else str(why).splitlines():
            print(f'#   {line}')
        sys.stdout.flush()

    def done(self):
        print(f'1..{self.n}')
        sys.exit(self.failed > 0 or self.n == 0)


class Run:
    """One run of a tool that has ended; rc is negative for a signal."""

    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    def lines(self):
        return [json.loads(x) for x in self.out.splitlines()]

    def __str__(self):
        return f'status {self.rc}: {self.err[-600:]}'


class Station:
    """A token with one key, its certificate, and documents, in one folder."""

    def __init__(self, items, key_type, where=lambda i: f'order-{i}'):
        self.dir = tempfile.mkdtemp(prefix='ofs-test.')
        self.items = items
        # what the user of the test has set must not matter
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(('OFS_', 'FAULTP11_', 'IOFAIL',
                                         'IOTRACE', 'SOFTHSM2_'))}
        self.env['PATH'] = f'{BUILD}/bin:{self.env["PATH"]}'
        self.env['OFS_TOKEN'] = f'{BUILD}/bin/ofs-token'
        self.env['LC_ALL'] = 'C.UTF-8'
        # where station keys go
        self.env['XDG_CONFIG_HOME'] = f'{self.dir}/config'
        self._sandbox(key_type)
        self.docs = os.path.join(self.dir, 'docs')
        for i in range(items):
            path = os.path.join(self.docs, where(i))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as f:
                f.write(f'payment order {i}\n')

    def _sandbox(self, key_type):
        box = os.path.join(self.dir, 'sandbox')
        said = subprocess.run(
            ['sh', '-c', 'eval "$("$0" "$1")" && env',
             f'{TOP}/softhsm-conf/sandbox', box],
            env=self.env, capture_output=True, text=True, check=True).stdout
        for line in said.splitlines():
            name, _, value = line.partition('=')
            if name.startswith(('OFS_', 'SOFTHSM2_')):
                self.env[name] = value
        self.key = 'pkcs11:token=sandbox;object=crash'
        self.cert = os.path.join(self.dir, 'cert.pem')
        self.must('ofs-token', 'enroll', self.key, '--key-type', key_type,
                  '--subject', '/CN=crash', '--self-signed', '--cert-out',
                  self.cert)
        self.env['OFS_MODULE'] = f'{BUILD}/test/faultp11.so'
        self.tokens = os.path.join(box, 'tokens')
        shutil.copytree(self.tokens, self.tokens + '.whole')

    def mend_token(self):
        """SoftHSM writes its token anew at each login, and not atomically: a
        kill can cost it the token, which no real one would lose."""
        shutil.rmtree(self.tokens)
        shutil.copytree(self.tokens + '.whole', self.tokens)

    def run(self, *argv, env=None, kill_after=None):
        e = dict(self.env, **(env or {}))
        with subprocess.Popen(argv, env=e, text=True, cwd=self.dir,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as p:
            try:
                out, err = p.communicate(timeout=kill_after)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                out, err = p.communicate()
        return Run(p.returncode, out, err)

    def must(self, *argv, **more):
        r = self.run(*argv, **more)
        demand(r.rc == 0, f'{" ".join(argv[:2])}: {r}')
        return r

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def calls(path):
    """C_Sign of all processes that counted into this file."""
    try:
        with open(path) as f:
            for line in f:
                n, name = line.split()[:2]
                if name == 'C_Sign':
                    return int(n)
    except FileNotFoundError:
        pass
    return 0


def sha256_of(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


class Log:
    """What the records say, and the verdict of `ofs-audit verify`."""

    def __init__(self, station, path):
        env = {'OFS_AUDIT': path}
        r = station.run('ofs-audit', 'verify', '--json', env=env)
        demand(r.rc == 0, lambda: f'the log does not verify: {r}{r.out}')
        self.report = next(x for x in r.lines() if x['type'] == 'report')
        self.records = station.must('ofs-audit', 'list', '--json',
                                    env=env).lines()
        self.outcomes = [x for x in self.records
                         if x['type_name'] == 'outcome' and
                         x['body']['purpose'] == PURPOSE_DOCUMENT]

    def signed(self):
        return [x['body'] for x in self.outcomes
                if x['body']['status'] == SIGNED]

    def files(self):
        """What is recorded as signed: set of (path, SHA-256)."""
        return {(x['output_path'], x['output_sha256']) for x in self.signed()}

    def announced(self, since=0):
        return sum(len(x['body']['items']) for x in self.records
                   if x['type_name'] == 'intent' and x['seq'] >= since)

    def unanswered(self, since=0):
        """Items of intents from that record on that have no outcome."""
        return self.announced(since) - sum(
            x['body']['intent_seq'] >= max(since, 1) for x in self.outcomes)

    def attempts(self, since=0):
        """Calls of C_Sign that the outcomes from that record on tell of."""
        return sum(x['body']['attempts'] for x in self.outcomes
                   if x['seq'] >= since)

    def unknown(self):
        return sum(x['body']['unknown'] for x in self.records
                   if x['type_name'] == 'recovery')


class Case:
    """One list that is signed while things break, in `dir`/{log,out}."""

    def __init__(self, station, seed):
        self.station = station
        self.rng = random.Random(seed)
        self.dir = dir = os.path.join(station.dir, 'st')
        self.log_dir = os.path.join(dir, 'log')
        self.out = self.out_as = os.path.join(dir, 'out')
        self.counts = dir + '.counts'
        self.unanswered = self.lost = 0
        self.copies = None  # where second copies go
        self.spent = 0  # C_Sign that the counters do not know of any more
        os.makedirs(dir)
        self.init()

    def init(self, **env):
        self.station.must('ofs-audit', 'init', '--audit', self.log_dir, env=env)
        self.log = Log(self.station, self.log_dir)

    def clear(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        if os.path.exists(self.counts):
            os.unlink(self.counts)

    def asked(self):
        """C_Sign so far."""
        return self.spent + calls(self.counts)

    def command(self, *more):
        if self.copies:
            os.makedirs(self.copies, exist_ok=True)
            more = (*more, '--copy-to', self.copies)
        return ['ofs-sign', '--audit', self.log_dir, '--key',
                self.station.key, '--recursive', '--out', self.out_as, '--jobs',
                '2', '--json', *more, self.station.docs]

    def sign(self, *more, env=None, kill_after=None):
        """A run, broken or not; then what must hold at any moment."""
        before = len(self.log.records) if self.log else 0
        asked = self.asked()
        self.station.mend_token()
        r = self.station.run(
            *self.command(*more), kill_after=kill_after,
            env=dict(env or {}, FAULTP11_COUNTS=self.counts))
        self.station.mend_token()
        self.log = Log(self.station, self.log_dir)
        self.check_released()
        # each C_Sign has an outcome, or is of those that are unknown
        new = self.log.unanswered(before)
        lost = self.asked() - asked - self.log.attempts(before)
        demand(0 <= lost <= new, f'{lost} calls of C_Sign without an outcome, '
               f'and {new} items are unknown')
        self.unanswered += new
        self.lost += lost
        return r

    def released(self):
        found = set()
        for at, _, names in os.walk(self.out):
            found |= {os.path.join(at, x) for x in names}
        return {x for x in found if not x.endswith('.tmp')}

    def check_released(self):
        """Nothing is out that is not on record, byte for byte."""
        recorded = self.log.files()
        for path in self.released():
            demand((path, sha256_of(path)) in recorded,
                   f"'{path}' is out without an outcome")

    def go_on(self):
        """How an operator goes on: the same command, or --resume ID."""
        if self.rng.random() < 0.5:
            return []
        r = self.station.must('ofs-sign', '--list-unfinished', '--json',
                              env={'OFS_AUDIT': self.log_dir})
        ids = [x['batch'] for x in r.lines()]
        demand(len(ids) <= 1, f'unfinished: {r.lines()}')
        return ['--resume', ids[0]] if ids else []

    def finish(self):
        """Goes on to the end, and all of what the issue promises."""
        known = len({p for p, _ in self.log.files()})
        unknown = self.log.unanswered()
        asked = self.asked()
        r = self.sign(*self.go_on())
        demand(r.rc in (0, 1), f'going on: {r}')
        demand(self.asked() - asked <= self.station.items - known,
               'what was signed is signed again')
        # what had an unanswered intent waits until the operator says so
        summary = r.lines()[-1]
        demand((r.rc == 1) == (summary['unknown'] > 0) and
               summary['unknown'] <= unknown, f'{unknown} unknown: {r}')
        r = self.sign('--resign-unknown', *self.go_on())
        demand(r.rc == 0, f'--resign-unknown: {r}')
        self.check_whole()

    def check_whole(self):
        items, log = self.station.items, self.log
        signed = log.signed()
        demand(len(signed) == items, f'{len(signed)} signed outcomes')
        demand(len({x['output_path'] for x in signed}) == items,
               'an item has two signed outcomes')
        out = {(p, sha256_of(p)) for p in self.released()}
        demand(out == log.files(), lambda: 'files and records differ: ' +
               repr(sorted(out ^ log.files())[:2]))
        left = [os.path.join(d, n) for d, _, names in os.walk(self.out)
                for n in names if n.endswith('.tmp')]
        demand(not left, f'left over: {left[:3]}')
        for path in self.released() if self.copies else []:
            copy = self.copies + path[len(self.out):]
            demand(os.path.exists(copy) and
                   sha256_of(copy) == sha256_of(path), f"no copy '{copy}'")
        rep = log.report
        demand(rep['pending_outputs'] == rep['unclosed_batches'] == 0,
               f'{rep["pending_outputs"]} outputs wait, '
               f'{rep["unclosed_batches"]} batches are open')
        # every call is an outcome's, or of one that is recorded as unknown
        demand(log.unknown() == self.unanswered,
               f'{self.unanswered} items were unknown, and {log.unknown()} '
               'are recorded so')
        demand(self.asked() == log.attempts() + self.lost and
               self.lost <= log.unknown(),
               f'{self.asked()} calls of C_Sign, {log.attempts()} '
               f'recorded, {self.lost} unknown')
        self.verify_all()

    def verify_all(self):
        s = self.station
        r = s.run('ofs-verify', '--quiet', '--trust', s.cert, '--sig',
                  self.out, '--recursive', s.docs)
        demand(r.rc == 0, f'not all valid: {r}')
        for path in self.rng.sample(sorted(self.released()), 3):
            doc = path[len(self.out):-len('.p7s')]
            r = s.run('openssl', 'cms', '-verify', '-binary', '-inform', 'DER',
                      '-in', path, '-content', doc, '-CAfile', s.cert,
                      '-purpose', 'any', '-out', '/dev/null')
            demand(r.rc == 0, f'openssl: {path}: {r}')


def each_case(tap, kinds, n, run):
    """Runs n cases of each kind; OFS_CASE=KIND:SEED repeats one alone."""
    alone = os.environ.get('OFS_CASE')
    wanted = []
    if alone:
        kind, _, seed = alone.partition(':')
        wanted = [(kind, [int(seed)])]
    else:
        r = random.Random(SEED)
        wanted = [(k, [r.randrange(1 << 31) for _ in range(n)])
                  for k in kinds]
    print(f'# seed {SEED}, {n} cases of each kind')
    for kind, seeds in wanted:
        done, began, why = 0, time.monotonic(), ''
        try:
            for seed in seeds:
                run(kind, seed)
                done += 1
        except (Broken, OSError, KeyError, ValueError) as e:
            why = (f'{type(e).__name__}: {e}\nrepeat it: '
                   f'OFS_CASE={kind}:{seed} {sys.argv[0]}')
        tap.ok(not why, f'{kind}: {kinds.get(kind, kind)}', why)
        print(f'# {kind}: {done} of {len(seeds)} cases in '
              f'{time.monotonic() - began:.0f} s')
