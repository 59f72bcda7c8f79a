"""Packaging of mmseg_unsup: what pyproject.toml cannot say."""
import os
import os.path as osp
import re
import shutil
import sys
import warnings
from contextlib import contextmanager

from setuptools import setup

ROOT = osp.dirname(osp.abspath(__file__))
PACKAGE = 'mmseg_unsup'
# what mim and the `mmseg_unsup::` references look for below the installed package
MIM_ITEMS = ('configs', 'tools', 'model-index.yml')
# web address of the repository, without a slash at its end: the README of a package index and the site of the documents
# link to it; without one they have no such links
REPOSITORY = ''


def long_description(repository: str = REPOSITORY) -> str:
    """The README as it can stand on a package index, where relative links lead nowhere: they become addresses below
    the repository, or, without one, plain text; what only points elsewhere then goes."""
    with open(osp.join(ROOT, 'README.md'), encoding='utf-8') as file:
        text = file.read()
    relative = r'!?\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)'
    if not repository:
        text = re.sub('!' + relative.removeprefix('!?') + r'\n+(?:.+\n)+\n', '', text)  # a picture and its caption
        text = re.sub(r'\s\(' + relative + r'\)', '', text)
        return re.sub(relative, r'\1', text)
    return re.sub(relative, lambda link: _absolute(link, repository), text)


def _absolute(link: re.Match, repository: str) -> str:
    kind = 'raw' if link[0].startswith('!') else 'blob'
    return f'{link[0][:-len(link[2]) - 1]}{repository}/{kind}/main/{link[2]})'


def add_mim_extension(link: bool) -> None:
    """Put configs and tools below ``mmseg_unsup/.mim``, as links or as copies."""
    mim = osp.join(ROOT, PACKAGE, '.mim')
    shutil.rmtree(mim, ignore_errors=True)
    os.makedirs(mim)
    for item in MIM_ITEMS:
        source, target = osp.join(ROOT, item), osp.join(mim, item)
        if link:
            os.symlink(osp.relpath(source, mim), target)
        elif osp.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'))
        else:
            shutil.copyfile(source, target)


@contextmanager
def mim_extension():
    """Links for an editable install, copies while a wheel is built.

    Modern pip installs editable packages through the command ``editable_wheel``, older ones through ``develop``. The
    links of an editable install come back after a wheel was built from the same folder.
    """
    if {'develop', 'editable_wheel'} & set(sys.argv):
        add_mim_extension(link=True)
        yield
    elif {'bdist_wheel', 'install'} & set(sys.argv):
        was_linked = osp.islink(osp.join(ROOT, PACKAGE, '.mim', MIM_ITEMS[0]))
        add_mim_extension(link=False)
        yield
        if was_linked:
            add_mim_extension(link=True)
    else:
        yield


if __name__ == '__main__':
    warnings.filterwarnings('ignore', 'Editable installation')  # setuptools announces every one as a warning
    with mim_extension():
        setup(
            long_description=long_description(),
            long_description_content_type='text/markdown',
            project_urls=dict(Repository=REPOSITORY) if REPOSITORY else {})
