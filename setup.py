"""Packaging of mmseg_unsup."""
import os
import os.path as osp
import shutil
import sys
import warnings
from contextlib import contextmanager

from setuptools import find_packages, setup

ROOT = osp.dirname(osp.abspath(__file__))
PACKAGE = 'mmseg_unsup'
# what mim and the `mmseg_unsup::` references look for below the installed package
MIM_ITEMS = ('configs', 'tools', 'model-index.yml')


def read(path: str) -> str:
    with open(osp.join(ROOT, path), encoding='utf-8') as file:
        return file.read()


def version() -> str:
    scope: dict = {}
    exec(read(f'{PACKAGE}/version.py'), scope)
    return scope['__version__']


def requirements(name: str) -> list:
    lines = (line.split('#')[0].strip() for line in read(f'requirements/{name}.txt').splitlines())
    return [line for line in lines if line]


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
            name='mmseg-unsup',
            version=version(),
            description='Unsupervised semantic segmentation for MMSegmentation',
            long_description=read('README.md'),
            long_description_content_type='text/markdown',
            license='Apache-2.0',
            packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
            include_package_data=False,  # which takes folders of data for packages
            package_data={PACKAGE: ['.mim/**/*'], f'{PACKAGE}.visualization': ['page/*']},
            entry_points=dict(console_scripts=['mmseg-unsup = mmseg_unsup.commands:main']),
            python_requires='>=3.10',
            install_requires=requirements('runtime'),
            extras_require={
                name: requirements(name)
                for name in ('onedl', 'openmmlab', 'mmpretrain', 'openmmlab-mmpretrain', 'faiss', 'gpu', 'crf', 'hub',
                             'formats', 'onnx', 'safetensors', 'tensorboard', 'tests')
            },
            zip_safe=False)
