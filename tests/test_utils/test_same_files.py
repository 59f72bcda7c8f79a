"""Whether several things would be written to one file."""
from mmseg_unsup.utils.same_files import two_of_one_file


def test_the_first_two_names_of_one_file_are_found():
    names = [f'{i % 40}.{suffix}' for suffix in ('a', 'b') for i in range(40)]
    assert two_of_one_file(names, lambda name: name.partition('.')[0]) == (0, 40)
    assert two_of_one_file(names[5:], lambda name: name.partition('.')[0]) == (0, 40)
    assert two_of_one_file(names, str.upper) is None
    assert two_of_one_file([], str.upper) is None


def test_files_of_one_hash_are_told_apart():
    assert hash(-1) == hash(-2)
    assert two_of_one_file([-1, -2], lambda name: name) is None
    assert two_of_one_file([-1, -2, -1], lambda name: name) == (0, 2)
