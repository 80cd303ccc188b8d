# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a power loss leaves of a directory, from a trace of iotrace.so.

What was synced is there. Of what was not, each write may be missing, there, or
there in part, block by block, or be other bytes; a new size and an entry of a
directory may have reached the disk or not. Nothing more than POSIX promises is
relied upon: syncing a file says nothing of its name, and nothing of other
files. A rename is atomic.
"""
import os

BLOCKS = (512, 4096)
DATA = ('dropped', 'kept', 'blocks', 'garbled')
NAMES = ('dropped', 'kept', 'prefix', 'subset')


class File:
    """A file: its bytes now, as of its last sync, and what came since."""

    def __init__(self, content=b''):
        self.now = bytearray(content)
        self.synced = bytes(content)
        self.since = []  # (offset, bytes), or (size, None)

    def write(self, at, data):
        if len(self.now) < at:
            self.now.extend(bytes(at - len(self.now)))
        self.now[at:at + len(data)] = data
        self.since.append((at, bytes(data)))

    def truncate(self, size):
        del self.now[size:]
        self.now.extend(bytes(size - len(self.now)))
        self.since.append((size, None))

    def sync(self):
        if self.since:
            self.synced, self.since = bytes(self.now), []

    def after(self, how, rng):
        if how == 'dropped' or not self.since:
            return self.synced
        if how == 'kept':
            return bytes(self.now)
        # sizes come in order, up to any; blocks in none
        sizes, longest = [len(self.synced)], len(self.synced)
        for at, data in self.since:
            longest = at if data is None else max(longest, at + len(data))
            sizes.append(longest)
        size = rng.choice(sizes)
        to = bytearray(self.synced[:size].ljust(size, b'\0'))
        block = rng.choice(BLOCKS)
        for at, data in self.since:
            if data is None:
                # what was cut off and has come back reads as zeros, or not
                if rng.random() < 0.5 and at < size:
                    to[at:] = bytes(size - at)
                continue
            for b in range(at // block, (at + len(data) - 1) // block + 1):
                first = max(b * block, at)
                end = min((b + 1) * block, at + len(data), size)
                if first >= end or rng.random() < 0.5:
                    continue
                to[first:end] = (rng.randbytes(end - first)
                                 if how == 'garbled' and rng.random() < 0.5
                                 else data[first - at:end - at])
        return bytes(to)


class Dir:
    """A directory: its entries now, as of its last sync, what came since."""

    def __init__(self):
        self.now, self.synced, self.since = {}, {}, []

    def change(self, number, changes):
        """changes: {name: File, Dir or None}, all of them or none."""
        for name, to in changes.items():
            if to is None:
                self.now.pop(name, None)
            else:
                self.now[name] = to
        self.since.append((number, changes))

    def sync(self):
        self.synced, self.since = dict(self.now), []

    def after(self, how, rng, upto):
        entries = dict(self.synced)
        for number, changes in self.since:
            if how == 'dropped' or \
                    (how == 'prefix' and number >= upto) or \
                    (how == 'subset' and rng.random() < 0.5):
                continue
            for name, to in changes.items():
                if to is None:
                    entries.pop(name, None)
                else:
                    entries[name] = to
        return entries


class Event:
    """One line of the trace and what belongs to it."""

    def __init__(self, head, path, more):
        op, calls, said, inode, number = head[:5]
        self.op, self.calls, self.said = op, int(calls), int(said)
        self.inode, self.number = int(inode), int(number)
        self.path, self.more = path.decode(), more

    def __str__(self):
        return f"{self.op} '{self.path}' {self.number}"


def read_trace(path):
    with open(path, 'rb') as f:
        data = f.read()
    events, at = [], 0
    while at < len(data):
        end = data.index(b'\n', at)
        head = data[at:end].decode().split()
        n, more = int(head[5]), int(head[6])
        at = end + 1
        events.append(Event(head, data[at:at + n],
                            data[at + n:at + n + more]))
        at += n + more
    return events


class Disk:
    """The directory `root`, as it is when it is loaded, then event by event."""

    def __init__(self, root):
        self.root, self.count = root, 0
        self.inodes = {}
        self.top = self._load(root)

    def _load(self, path):
        d = Dir()
        for e in os.scandir(path):
            if e.is_dir(follow_symlinks=False):
                d.now[e.name] = self._load(e.path)
            else:
                with open(e.path, 'rb') as f:
                    d.now[e.name] = File(f.read())
        d.sync()
        return d

    def _at(self, path):
        """The directory that holds it, and its name there."""
        parts = os.path.relpath(path, self.root).split('/')
        d = self.top
        for p in parts[:-1]:
            d = d.now[p]
        return d, parts[-1]

    def _object(self, e):
        if e.inode not in self.inodes:
            d, name = self._at(e.path)
            self.inodes[e.inode] = self.top if name == '.' else d.now[name]
        return self.inodes[e.inode]

    def _enter(self, path, to):
        d, name = self._at(path)
        d.change(self.count, {name: to})

    def _rename(self, source, target):
        (a, x), (b, y) = self._at(source), self._at(target)
        moved = a.now[x]
        if a is b:
            a.change(self.count, {x: None, y: moved})
        else:
            b.change(self.count, {y: moved})
            a.change(self.count, {x: None})

    def _all(self, d):
        yield d
        for x in d.now.values():
            if isinstance(x, Dir):
                yield from self._all(x)
            else:
                yield x

    def apply(self, e):
        self.count += 1
        if e.op in 'cd':
            made = File() if e.op == 'c' else Dir()
            self.inodes[e.inode] = made
            if e.path:
                self._enter(e.path, made)
        elif e.op == 'w':
            self._object(e).write(e.number, e.more)
        elif e.op == 't':
            self._object(e).truncate(e.number)
        elif e.op == 's':
            self._object(e).sync()
        elif e.op == 'S':
            for x in list(self._all(self.top)):
                x.sync()
        elif e.op == 'r':
            self._rename(e.path, e.more.decode())
        elif e.op == 'l':
            self._enter(e.path, self._object(e))
        elif e.op == 'u':
            self._enter(e.path, None)
        else:
            raise ValueError(f"event '{e.op}' {e.number} of '{e.path}'")

    def tree(self):
        """All of it as programs see it: {path: bytes, None of a directory}."""
        def walk(d, at):
            for name, x in d.now.items():
                yield f'{at}/{name}', bytes(x.now) if isinstance(x, File) \
                    else None
                if isinstance(x, Dir):
                    yield from walk(x, f'{at}/{name}')
        return dict(walk(self.top, self.root))

    def read_now(self, path):
        """A file as programs see it; None where there is none."""
        try:
            d, name = self._at(path)
            return bytes(d.now[name].now)
        except KeyError:
            return None

    def build(self, data, names, rng):
        """The directory anew, as the power loss leaves it."""
        upto = rng.randint(0, self.count + 1)

        def put(d, path):
            os.makedirs(path, mode=0o700, exist_ok=True)
            for name, x in d.after(names, rng, upto).items():
                to = os.path.join(path, name)
                if isinstance(x, Dir):
                    put(x, to)
                    continue
                fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(fd, 'wb') as f:
                    f.write(x.after(data, rng))
        put(self.top, self.root)
