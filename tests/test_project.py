"""What people who carry on the work rely on: lint, workflows, citation, container, README of a package index, site."""
import ast
import functools
import glob
import importlib.util
import os.path as osp
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from mmseg_unsup.version import __version__
from .conftest import ROOT
from .test_docs.documents import DOCUMENTS, PROJECT, anchors

WORKFLOWS = sorted(glob.glob(osp.join(ROOT, '.github', 'workflows', '*.yml')))


def read(*parts: str) -> str:
    with open(osp.join(ROOT, *parts), encoding='utf-8') as file:
        return file.read()


@functools.lru_cache
def pinned_ruff() -> str:
    repositories = yaml.safe_load(read('.pre-commit-config.yaml'))['repos']
    rev, = (repository['rev'] for repository in repositories if repository['repo'].endswith('/ruff-pre-commit'))
    return rev.lstrip('v')


def test_ruff_finds_nothing():
    program = shutil.which('ruff') or shutil.which('ruff', path=osp.dirname(sys.executable))
    if program is None:
        pytest.skip('ruff is not installed')
    version = subprocess.run([program, '--version'], capture_output=True, text=True, check=True).stdout.split()[1]
    if version.split('.')[:2] != pinned_ruff().split('.')[:2]:
        pytest.skip(f'rules are those of ruff {pinned_ruff()}, and ruff {version} is installed')
    done = subprocess.run([program, 'check', '--no-cache', '--output-format', 'concise'], cwd=ROOT, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_lines_and_ends_of_files():
    """The width of a line, also of one that is a single word; the end of a file, as the hooks of pre-commit have it."""
    paths = [path for room in ('mmseg_unsup', 'configs', 'tools', 'tests', 'docs')
             for path in glob.glob(osp.join(ROOT, room, '**', '*.py'), recursive=True)]
    assert len(paths) > 400
    for path in paths:
        text = read(path)
        long = [i for i, line in enumerate(text.splitlines(), 1) if len(line) > 120]
        assert not long, (path, long)
        assert not text or text.endswith('\n') and not text.endswith('\n\n'), path


def run_steps(workflow: dict):
    for job in workflow['jobs'].values():
        for step in job['steps']:
            yield from step.get('run', '').splitlines()


@pytest.mark.parametrize('path', WORKFLOWS, ids=osp.basename)
def test_workflows_ask_for_little_and_run_what_is_there(path):
    workflow = yaml.safe_load(read(path))
    assert workflow['permissions'] == {'contents': 'read'} and 'concurrency' in workflow
    targets = re.findall(r'^([a-z-]+):', read('Makefile'), re.M)
    for job in workflow['jobs'].values():
        assert job['timeout-minutes'] <= 360
        used = [step['uses'] for step in job['steps'] if 'uses' in step]
        assert used and all(re.fullmatch(r'actions/[a-z-]+@v\d+', action) for action in used)
    for line in run_steps(workflow):
        for target in re.findall(r'make ([a-z-]+)', line):
            assert target in targets, line
        for name in re.findall(r'(?:requirements/\S+\.txt|^\.ci/\w+|tools/\S+\.py)', line):
            assert osp.isfile(osp.join(ROOT, name)), line
        for script in re.findall(r'mmseg_unsup::(\S+\.py)', line):
            assert osp.isfile(osp.join(ROOT, 'configs', script)), line


def test_workflows_try_every_python_and_the_ruff_of_the_hooks():
    workflow = yaml.safe_load(read('.github', 'workflows', 'tests.yml'))
    told = re.findall(r'Python :: (3\.\d+)', read('pyproject.toml'))
    assert workflow['jobs']['tests']['strategy']['matrix']['python'] == told
    assert f'pip install ruff=={pinned_ruff()}' in list(run_steps(workflow))
    assert f'pip install ruff=={pinned_ruff()} pre-commit\n' in read('CONTRIBUTING.md')


def test_version_is_told_once():
    citation = yaml.safe_load(read('CITATION.cff'))
    assert citation['version'] == __version__ and citation['license'] == 'Apache-2.0'
    versions = [line for line in re.findall('^## (.*)$', read('CHANGELOG.md'), re.M) if line != 'Unreleased']
    assert versions[0] == f'{__version__} - {citation["date-released"]}'


def test_the_container_is_built_from_what_is_there():
    docker, kept = read('Dockerfile'), re.findall(r'^!(\S+)$', read('.dockerignore'), re.M)
    assert all(osp.exists(osp.join(ROOT, name)) for name in kept)
    needed = {'setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'requirements', 'mmseg_unsup', 'configs', 'tools',
              'model-index.yml', 'MANIFEST.in'}
    assert needed == set(kept)
    extras, = re.findall(r'/src\[(.*?)\]', docker)
    assert all(osp.isfile(osp.join(ROOT, 'requirements', f'{name}.txt')) for name in extras.split(','))


@functools.lru_cache
def load(*parts: str):
    spec = importlib.util.spec_from_file_location(parts[-1][:-3], osp.join(ROOT, *parts))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_on_a_package_index_has_no_link_that_leads_nowhere():
    pytest.importorskip('setuptools')
    packaging = load('setup.py')
    relative, text = r'\]\((?!https://)', packaging.long_description('')
    assert re.search(relative, read('README.md')) and not re.search(relative, text)
    assert 'docs/pictures' not in text and '[docs/install.md]' not in text and 'docs/install.md has wheels' in text
    assert 'Two photographs' not in text and 'memory. No GPU' in text
    text = packaging.long_description('https://host/owner/name')
    assert not re.search(relative, text)
    places = re.findall(r'\]\(https://host/owner/name/(raw|blob)/main/([^)#]+)(?:#([^)]+))?\)', text)
    assert len(places) == len(re.findall(relative, read('README.md')))
    assert [place for kind, place, _ in places if kind == 'raw'] == ['docs/pictures/photographs.jpg']
    for _, place, anchor in places:
        assert osp.isfile(osp.join(ROOT, place)) and (not anchor or anchor in anchors(place))


def test_names_for_type_checkers_are_those_of_the_package():
    import mmseg_unsup
    import mmseg_unsup.apis
    for module in (mmseg_unsup, mmseg_unsup.apis):
        block, = (node for node in ast.parse(read(module.__file__)).body
                  if isinstance(node, ast.If) and node.test.id == 'TYPE_CHECKING')
        # `as` says that a name is offered; a module that has the name of its function must be named
        assert all(alias.asname == alias.name for line in block.body for alias in line.names)
        assert all(osp.isfile(osp.join(osp.dirname(module.__file__), *line.module.split('.')) + '.py')
                   for line in block.body)
        named = {alias.name for line in block.body for alias in line.names}
        lazy = {name for name in module.__all__ if name not in ('__version__', 'ClusterNames', 'NamedClass')}
        assert named == lazy


class Loader(yaml.SafeLoader):
    """Leaves tags of Python as they are."""


Loader.add_multi_constructor('tag:yaml.org,2002:python/', lambda loader, suffix, node: suffix)


def test_every_document_is_in_the_site():
    def leaves(node):
        return [node] if isinstance(node, str) else [x for part in (node.values() if isinstance(node, dict) else node)
                                                     for x in leaves(part)]

    places = {re.sub(r'^configs/(\w+)/README|\.ipynb$', lambda found: f'configs/{found[1]}' if found[1] else '.md',
                     path).removeprefix('docs/') for path in DOCUMENTS}
    expected = places - {'README.md'} | {name.lower() for name in PROJECT} | {'index.md', 'api.md'}
    nav = leaves(yaml.load(read('mkdocs.yml'), Loader)['nav'])
    assert len(nav) == len(expected) and set(nav) == expected


def test_links_of_the_site():
    pytest.importorskip('mkdocs', reason='mkdocs is not installed')
    site_link = load('docs', 'mkdocs_hooks.py').site_link
    for link, source, expected in (
            ('docs/use.md#predict', 'README.md', 'use.md#predict'), ('../README.md', 'docs/faq.md', 'index.md'),
            ('../configs/picie/README.md#x', 'docs/faq.md', 'configs/picie.md#x'),
            ('../../docs/use.md', 'configs/mdc/README.md', '../use.md'), ('#here', 'docs/faq.md', '#here'),
            ('../picie/README.md', 'configs/mdc/README.md', 'picie.md'),
            ('https://a.b/c.md', 'docs/faq.md', 'https://a.b/c.md'),
            ('docs/pictures/photographs.jpg', 'README.md', 'pictures/photographs.jpg'),
            ('LICENSE', 'CONTRIBUTING.md', 'files/LICENSE.txt')):
        assert site_link(link, source, '') == expected, link
    assert site_link('LICENSE', 'CONTRIBUTING.md', 'https://host/x') == 'https://host/x/blob/main/LICENSE'


def test_the_site_is_built_and_all_its_links_lead_somewhere(tmp_path):
    for name in ('mkdocs', 'material', 'mkdocstrings_handlers'):
        pytest.importorskip(name, reason='the extra docs is not installed')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '-d', str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    page = (tmp_path / 'api' / 'index.html').read_text(encoding='utf-8')
    assert 'Segments images by a trained model' in page and ':class:' not in page
    assert 'None of an array or a PIL image' in page and '<code>(<span title="FileNotFoundError">' not in page
    page = (tmp_path / 'notebooks' / 'photographs' / 'index.html').read_text(encoding='utf-8')
    notebook, = re.findall(r'<a href="([^"]*ipynb)" download>', page)
    assert (tmp_path / 'notebooks' / 'photographs' / notebook).is_file()
    page = (tmp_path / 'index.html').read_text(encoding='utf-8')
    assert '<span class="option">--n-clusters</span>' in page and '51.9\u00a0±\u00a03.0\u00a0/\u00a025.6' in page
    assert (tmp_path / 'configs' / 'picie' / 'index.html').is_file()
