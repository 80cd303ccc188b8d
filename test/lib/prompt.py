# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a command on a terminal whose output is held back, so that a prompt
cannot be written, and tells whether echo is off all the same.

    prompt.py COMMAND...
"""
import os
import pty
import sys
import termios
import time

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
os.write(fd, b"\x13")
deadline = time.monotonic() + 20
while True:
    echo = termios.tcgetattr(fd)[3] & termios.ECHO
    if not echo or time.monotonic() > deadline:
        break
    time.sleep(0.02)
print("echo on" if echo else "echo off")
os.close(fd)
os.waitpid(pid, 0)
