"""What terminals of several kinds show of a long pass, and what files do."""
import json
import os
import re
import subprocess
import sys

import pytest

from mmseg_unsup.utils import progress as module
from mmseg_unsup.utils.console import quiet_console
from ..conftest import ROOT

SAID = 'epoch 3/8  loss 1.43  12 s  1.2 min left  mIoU 75.82'
# name -> columns of the terminal and what the environment says of it
TERMINALS = dict(
    colours=(80, {}), plain=(80, dict(NO_COLOR='1')), narrow=(40, {}), tiny=(20, dict(NO_COLOR='1')),
    wide=(200, {}), dumb=(80, dict(TERM='dumb')), ascii=(80, dict(PYTHONIOENCODING='ascii')))
# a pass of 30 images in each terminal, in a process that has imported everything
PASSES = f'''
import fcntl, json, os, pty, struct, sys, termios, time
from mmseg_unsup.utils.console import quiet_console, say
from mmseg_unsup.utils.progress import track_progress

shown = {{}}
for name, (columns, env) in json.loads(sys.argv[1]).items():
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        os.environ.update(env)
        encoding = env.get('PYTHONIOENCODING', 'utf-8')
        sys.stdout, sys.stderr = (open(number, 'w', 1, encoding, closefd=False) for number in (1, 2))
        with quiet_console():
            say('before')
            with track_progress('clustering epoch 1', 30) as advance:
                for i in range(30):
                    advance(1, f'loss {{i}}.1234')
                    time.sleep(0.02)
                    if i == 14:
                        say({SAID!r})
            say('after')
        os._exit(0)
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b''
        if not part:
            break
        parts.append(part)
    os.waitpid(child, 0)
    shown[name] = b''.join(parts).decode()
print(json.dumps(shown))
'''


@pytest.fixture(scope='module')
def shown():
    """Terminal -> all that was written to it."""
    env = dict(os.environ, PYTHONPATH=ROOT, TERM='xterm-256color')
    for name in ('NO_COLOR', 'FORCE_COLOR', 'COLUMNS', 'LINES'):
        env.pop(name, None)
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', PASSES, json.dumps(TERMINALS)], env=env,
                          stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def screen(text: str, columns: int) -> list:
    """Lines that a terminal shows in the end."""
    lines, row, column = [''], 0, 0
    for token in re.findall(r'\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\r\n\x1b]', text):
        if token == '\r':
            column = 0
        elif token == '\n':
            row, column = row + 1, 0
        elif token.startswith('\x1b'):
            number = int(re.sub(r'\D', '', token) or 1)
            if token.endswith('A'):
                row -= number
            elif token.endswith('K'):
                assert number == 2
                lines[row] = ''
        else:
            if column == columns:
                row, column = row + 1, 0
            lines += [''] * (row + 1 - len(lines))
            lines[row] = lines[row].ljust(column)[:column] + token + lines[row][column + 1:]
            column += 1
        lines += [''] * (row + 1 - len(lines))
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize('name', TERMINALS)
def test_a_bar_is_one_line_and_leaves_only_what_was_said(name, shown):
    columns, env = TERMINALS[name]
    text = shown[name].replace('\r\n', '\n')
    final = screen(text, columns)
    assert final[0] == 'before' and final[-1] == 'after'
    assert ' '.join(final[1:-1]).split() == SAID.split() and len(final) == 3 + (columns < len(SAID)) + (columns < 26)
    frames = re.split(r'\r|\n', re.sub(r'\x1b\[[?\d;]*[A-Za-z]', '', text))
    frames = [frame for frame in frames if 'clustering' in frame]
    assert (frames == []) == (name == 'dumb')
    assert all(len(frame) < columns for frame in frames)
    if name in ('colours', 'plain', 'wide', 'ascii'):
        assert any('/30' in frame and 'img/s' in frame and ' left' in frame and 'loss ' in frame for frame in frames)
    if 'NO_COLOR' in env:
        assert not re.search(r'\x1b\[[\d;]*3\d', text)
    assert name != 'dumb' or '\x1b' not in text
    assert name != 'ascii' or text.isascii()


def test_lines_where_there_is_no_terminal(monkeypatch, capsys, tmp_path):
    """Every half minute, and only where no log has them."""
    now = [0.]
    monkeypatch.setattr(module.time, 'time', lambda: now[0])
    logs = []
    monkeypatch.setattr(module, 'log_files', lambda: logs)

    def run() -> str:
        with quiet_console(), module.track_progress('masks', 100) as advance:
            for _ in range(10):
                now[0] += 10
                advance(10, 'of a folder')
        return capsys.readouterr().out

    assert run().splitlines() == [f'masks: {n}/100 img, 1.0 img/s, {100 - n} s left of a folder' for n in (30, 60, 90)]
    logs.append('a log')
    assert run() == ''
