"""What a folder of results remembers, without any model: a result is a file that holds the name of its image."""
import argparse
import os

import pytest

from mmseg_unsup.apis import folder_journal
from mmseg_unsup.apis.folder_journal import Journal
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.utils.console import quiet_console
from mmseg_unsup.utils.shards import WHOLE, Shard, parse_shard

NAMES = ['a.jpg', 'a/b.jpg', 'caf\udce9\n.png', 'd', 'e', 'f', 'g']  # one is no UTF-8 and has two lines


def journal(out, names=NAMES, shard=WHOLE, weights='w', **options):
    images = ImageNames([f'/data/{name}' for name in names], '/data')
    return Journal(str(out), images, dict(weights=weights), lambda name: [f'{out}/{[*NAMES, "h"].index(name)}'], shard,
                   **options)


def make(book, most=99):
    """Make what is missing; the names of that."""
    made = []
    for i in book.todo():
        if len(made) < most:
            made.append(book.names[i])
            with open(*book._files_of(made[-1]), 'w') as file:
                file.write(made[-1].encode('utf-8', 'replace').decode() * (i + 1))
            book.add(made[-1], {'number': i})
    return made


def results(book):
    return [(line.image, line.found) for line in book.collect()]


def test_a_call_goes_on_where_the_last_one_was_stopped(tmp_path):
    for most, n_made in ((3, 0), (2, 3), (99, 5)):
        with journal(tmp_path) as book:
            assert book.n_made == n_made
            assert make(book, most) == NAMES[n_made:n_made + most]
            assert book.collect().n_missing == max(0, 7 - n_made - most)
    with journal(tmp_path) as book:
        assert not make(book)
        assert results(book) == [(name, {'number': i}) for i, name in enumerate(NAMES)]
    with journal(tmp_path, NAMES[1:] + ['h']) as book:  # one is gone, one is new
        assert make(book) == ['h'] and [name for name, _ in results(book)] == NAMES[1:] + ['h']


def test_what_was_cut_is_made_again(tmp_path, capsys):
    with journal(tmp_path) as book:
        make(book)
    with open(book.path, 'rb+') as file:
        content = file.read()
        file.truncate(len(content) - 9)  # of the line of the last name
    os.truncate(tmp_path / '1', 3)
    os.remove(tmp_path / '4')
    with quiet_console(), journal(tmp_path) as book:
        assert make(book) == ['a/b.jpg', 'e', 'g']
        assert '0-of-1.jsonl was cut in its last line, whose image is made again' in capsys.readouterr().out
    with open(book.path, 'rb') as file:
        assert all(text.startswith(b'{') and text.endswith(b'}\n') for text in file)
    with journal(tmp_path) as book:
        assert not make(book) and results(book) == [(name, {'number': i}) for i, name in enumerate(NAMES)]
    damaged = content.replace(b'"d"', b'\0\0\0')
    with open(book.path, 'wb') as file:
        file.write(damaged)
    with journal(tmp_path) as book:
        assert make(book) == ['d']
    with open(book.path, 'wb') as file:
        file.write(b'no journal\n')
    with pytest.raises(ValueError, match='0-of-1.jsonl is no record of what was made: remove that file'), \
            journal(tmp_path, shard=Shard(0, 2)):
        pass


def test_faults_are_tried_again(tmp_path):
    with journal(tmp_path) as book:
        book.add_fault('d', 'broken')
        make(book, 3)
        found = book.collect()
        assert found.totals == (3, 1, 3) and [line.fault for line in found] == ['', '', '', 'broken']
    with journal(tmp_path) as book:
        assert make(book) == NAMES[3:]
        book.add_fault('d', 'broken')  # by another process, that was later: a result counts more
        assert book.collect().totals == (7, 0, 0)


def test_other_settings_are_refused(tmp_path):
    with journal(tmp_path):
        pass  # of a call that made nothing, nothing stays
    with journal(tmp_path, weights='v') as book:
        make(book, 1)
    before = open(book.path).read()
    for shard in (WHOLE, Shard(1, 2)):
        with pytest.raises(ValueError, match="0-of-1.jsonl records results with weights='v', but this call has 'w': "
                           'use another folder for the results, or remove that one'):
            journal(tmp_path, shard=shard)
    assert open(book.path).read() == before and len(os.listdir(tmp_path / 'progress')) == 3  # and two locks
    with journal(tmp_path, replace=True) as book:
        assert make(book) == NAMES


def test_one_process_a_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_journal, 'take_lock', lambda *args: False)
    with pytest.raises(ValueError, match='another process is at work on shard 1/2 of .*progress: wait for its end,'):
        journal(tmp_path, shard=Shard(1, 2))


def test_shards_share_a_folder(tmp_path):
    made = []
    for index in (2, 0):
        with journal(tmp_path, shard=Shard(index, 3)) as book:
            made += make(book)
            assert book.collect().n_missing == 7 - len(made)
    assert made == [NAMES[i] for i in (2, 5, 0, 3, 6)]
    with journal(tmp_path) as book:  # one process takes over
        assert make(book) == ['a/b.jpg', 'e']
        assert results(book) == [(name, {'number': i}) for i, name in enumerate(NAMES)]


def test_shards_that_see_other_files(tmp_path):
    for index, names in ((0, NAMES), (1, NAMES[:-1])):
        with journal(tmp_path, names, Shard(index, 2)) as book:
            make(book)
    with pytest.raises(ValueError, match='the shards have seen different files: 7 images in .*0-of-2.jsonl, 6 here .*: '
                       'give the commands of all shards again where they see the same folder'):
        book.collect()


@pytest.mark.parametrize('text, message', [
    ('3/3', 'there is no shard 3/3: R of R/W counts from 0 to W-1, here 2'), ('5/4', 'from 0 to W-1, here 3'),
    ('0/0', 'from 0 to W-1, with W of at least 1'), ('1', 'it must be R/W, such as 0/4 for the first of four, but it '),
    ('-1/4', "but it is '-1/4'")])
def test_shards_that_do_not_exist(text, message):
    assert parse_shard('2/3') == Shard(2, 3)
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse_shard(text)
