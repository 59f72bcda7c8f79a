"""What a person does on the page of a gallery, in a headless browser."""
import base64
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from mmseg_unsup.apis import ClusterNames
from mmseg_unsup.apis.gallery import make_gallery
from mmseg_unsup.evaluation.functional import match_named, matched_confusion, scores_from_confusion
from ..browser import check_console, open_browser
from .tiny_gallery import page_data, small_config, write_checkpoint, write_data

pytestmark = pytest.mark.long
K = 6
# width, height and RGBA of the canvas in an element; nothing before it is painted
READ_CANVAS = '''
const { width, height } = document.querySelectorAll(arguments[0])[arguments[1]].querySelector('canvas');
if (!width) return [];
const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
copy.drawImage(document.querySelectorAll(arguments[0])[arguments[1]].querySelector('canvas'), 0, 0);
return [width, height, ...copy.getImageData(0, 0, width, height).data];'''
BLANK_PICTURES = '''
return [...document.querySelectorAll(arguments[0])].filter((img) => !(img.complete && img.naturalWidth > 0)).length'''


class Page:
    """A gallery in the browser."""

    def __init__(self, browser, path) -> None:
        self.browser, self.data = browser, page_data(path)
        # a page with edits asks before it is left
        browser.execute_script('window.onbeforeunload = null; history.replaceState(null, "", location.pathname)')
        browser.get(path.as_uri())

    def run(self, script: str, *arguments):
        return self.browser.execute_script(script, *arguments)

    def all(self, selector: str) -> list:
        return self.browser.find_elements('css selector', selector)

    def one(self, selector: str):
        return self.browser.find_element('css selector', selector)

    def texts(self, selector: str) -> list:
        return self.run('return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)', selector)

    def names(self) -> list:
        return self.run('return [...document.querySelectorAll("#table .name")].map((input) => input.value)')

    def rename(self, position: int, name: str, end: str = '\ue007') -> None:
        """Type a name into a row, and a key: Enter."""
        field = self.all('#table .name')[position]
        field.clear()
        field.send_keys(name + end)

    def select(self, *positions: int) -> None:
        for position in positions:
            self.all('#table .select')[position].click()

    def download(self, folder) -> Path:
        """Have ``clusters.json`` saved in the folder of downloads."""
        self.one('#download').click()
        file = folder / 'clusters.json'
        # the browser reserves the name by an empty file
        self.wait(lambda: file.exists() and file.stat().st_size)
        return file

    def wait(self, condition, seconds: float = 60.) -> None:
        end = time.time() + seconds
        while not condition():
            assert time.time() < end, 'the page did not get there'
            time.sleep(0.05)

    def canvas(self, selector: str, position: int) -> np.ndarray:
        """(H, W, 4) of the canvas over a picture, once it is painted."""
        self.wait(lambda: sum(self.run(READ_CANVAS, selector, position)[2:]))
        width, height, *values = self.run(READ_CANVAS, selector, position)
        return np.array(values, np.uint8).reshape(height, width, 4)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    # a module may be left and come back to, then with another browser and another folder
    folder = tmp_path_factory.mktemp('browser')
    with open_browser(folder) as opened:
        opened.folder = folder
        yield opened


@pytest.fixture(scope='module')
def gallery(browser, tmp_path_factory):
    """A page with labels, and the model it is of."""
    root = tmp_path_factory.mktemp('gallery')
    write_data(root)
    cfg = small_config()
    checkpoint, model = write_checkpoint(cfg, root / 'model.pth', K)
    arguments = (cfg, checkpoint, str(root / 'images'), str(root / 'page.html'), str(root / 'labels'))
    make_gallery(*arguments)
    return root / 'page.html', model, arguments


@pytest.fixture
def page(browser, gallery):
    return Page(browser, gallery[0])


def ids_of(picture: dict, dtype=np.uint8) -> np.ndarray:
    raw = zlib.decompress(base64.b64decode(picture['ids']))
    return np.frombuffer(raw, dtype).reshape(picture['height'], picture['width'])


def inner(ids: np.ndarray) -> np.ndarray:
    """Pixels that do not border on another id to the right or below."""
    same = np.ones(ids.shape, bool)
    same[:, :-1] &= ids[:, :-1] == ids[:, 1:]
    same[:-1] &= ids[:-1] == ids[1:]
    return same


def test_pictures_are_there(page):
    for card in page.all('.card'):
        page.run('arguments[0].scrollIntoView()', card)
        time.sleep(0.05)
    n_places = sum(len(cluster['places']) for cluster in page.data['clusters'])
    n_typical = sum(len(cluster['images']) for cluster in page.data['clusters'])
    assert len(page.all('img')) == n_places + n_typical + len(page.data['samples'])
    page.wait(lambda: page.run(BLANK_PICTURES, 'img') == 0)
    picture = page.data['images'][page.data['samples'][1]]
    ids, drawn = ids_of(picture), page.canvas('#samples .picture', 1)
    palette = np.array([c['color'] for c in page.data['names']['classes']])
    # colours under an alpha channel are rounded by the canvas
    assert np.abs(drawn[..., :3].astype(int) - palette[ids])[inner(ids)].max() <= 2
    k = next(k for k in range(K) if page.data['clusters'][k]['images'])
    page.run('document.getElementById(arguments[0]).scrollIntoView()', f'cluster-{k}')
    ids = ids_of(page.data['images'][page.data['clusters'][k]['images'][0]['image']])
    veil = page.canvas(f'#cluster-{k} .typical .picture', 0)[..., 3]
    assert (veil[inner(ids == k) & (ids == k)] == 0).all() and (veil[ids != k] > 100).all()
    check_console(page.browser)


def test_numbers_of_classes_follow_merging(page):
    confusion = np.array(page.data['labels']['confusion'])

    def best_iou(columns) -> float:
        counts = confusion[:, columns].sum(1)
        return 100 * (counts / (confusion.sum(1) + counts.sum() - counts))[counts.argmax()]

    shares = [cluster['share'] for cluster in page.data['clusters']]
    assert page.texts('#table .iou') == [f'{best_iou([k]):.1f}' for k in range(K)]
    page.select(4, 1)
    page.one('#merge').click()
    assert page.names() == ['cluster 0', 'cluster 4', 'cluster 2', 'cluster 3', 'cluster 5']
    assert page.texts('#table .ids')[1] == '1, 4'
    assert page.texts('#table .iou')[1] == f'{best_iou([1, 4]):.1f}'
    assert float(page.texts('#table .share')[1].split()[0]) == pytest.approx(100 * (shares[1] + shares[4]), abs=0.06)
    assert len(page.all('.card')) == 5 and len(page.all('.card .block')) == K
    names = {1: 'cluster 4 (1)', 4: 'cluster 4 (4)'}  # of a merged class, which of its clusters is near
    for k, cluster in enumerate(page.data['clusters']):
        chips = [names.get(near['cluster'], f'cluster {near["cluster"]}') for near in cluster['nearest']]
        shown = page.texts(f'#cluster-{k} .chip')
        assert len(shown) == len(chips) and all(text.startswith(chip) for text, chip in zip(shown, chips))
    page.one('.split').click()
    # the first cluster keeps the name
    assert page.texts('#table .ids') == [str(k) for k in range(K)]
    assert page.names()[1] == 'cluster 4' and page.names()[4] == 'cluster 4 (2)'
    page.one('#undo').click()
    page.one('#undo').click()
    assert page.names() == [f'cluster {k}' for k in range(K)] and not page.one('#undo').is_enabled()
    check_console(page.browser)


def test_named_after_labels(page):
    confusion, labels = np.array(page.data['labels']['confusion']), page.data['labels']['names']
    page.one('#name-after-labels').click()
    most = confusion.argmax(0)
    assert page.names() == [labels[c] for c in sorted({*most}, key=lambda c: np.flatnonzero(most == c)[0])]
    matched = matched_confusion(confusion, most)
    expected = scores_from_confusion(matched)['mIoU']
    assert float(page.texts('#named-score dd')[0]) == pytest.approx(expected, abs=0.006)
    page.run('document.querySelector("#confusion").scrollIntoView()')
    page.wait(lambda: page.all('#heat tbody tr'))
    rows = page.run('return [...document.querySelectorAll("#heat tbody tr")].map((row) => [...row.cells].map((cell) =>'
                    ' cell.title || cell.textContent))')
    for row in rows:
        c = labels.index(row[0])
        assert row[1 + c] == f'{row[0]} / {row[0]}: {100 * matched[c, c] / matched[:, c].sum():.1f} %'
    page.one('#undo').click()
    check_console(page.browser)


def test_the_score_is_that_of_the_metric(page):
    """Of the same names, whatever was merged; a class without the name of a label is its most frequent one."""
    confusion, labels = np.array(page.data['labels']['confusion']), page.data['labels']['names']

    def check(groups, names) -> None:
        counts = np.stack([confusion[:, group].sum(1) for group in groups], 1)
        matched = match_named(counts, names, labels, 'majority')
        assert float(page.texts('#named-score dd')[0]) == pytest.approx(
            scores_from_confusion(matched_confusion(counts, matched))['mIoU'], abs=0.006)
        assert page.texts('#table .label') == [labels[c] for c in counts.argmax(0)]

    assert not page.one('#named-score').is_displayed()
    groups, names = [[k] for k in range(K)], [f'cluster {k}' for k in range(K)]
    check(groups, names)
    for position, c in ((2, 0), (4, 7)):
        page.rename(position, labels[c])
        names[position] = labels[c]
        check(groups, names)
    page.select(0, 2)
    page.one('#merge').click()
    check([[0, 2], [1], [3], [4], [5]], ['cluster 0', *names[1:2], *names[3:]])
    assert page.one('#named-score').is_displayed()
    check_console(page.browser)


def test_names_are_edited_downloaded_and_shown_again(page, gallery, browser):
    path, model, arguments = gallery
    page.rename(0, '  grey   sky ')
    assert page.run('return document.activeElement.value') == 'cluster 1'  # Enter goes to the next name
    page.rename(1, 'grey sky')
    assert 'Cluster 0 has this name.' in page.texts('#table .problem')[0]
    page.one('#table .problem button').click()
    page.rename(2, '')
    assert page.texts('#table .problem') == ['A name must not be empty.']
    page.rename(2, '<b>"Straße" & co</b>')
    page.rename(3, 'a\u200bb')
    assert page.texts('#table .problem') == ['A name must not hold invisible characters.']
    page.all('#table .name')[3].send_keys('\ue00c')  # Escape
    page.run('const color = document.querySelectorAll("#table .color")[4]; color.value = "#0a0b0c";'
             'color.dispatchEvent(new Event("change", { bubbles: true }))')
    names = ['grey sky', 'cluster 2', '<b>"Straße" & co</b>', 'cluster 4', 'cluster 5']
    assert page.names() == names
    file = page.download(browser.folder)
    named = ClusterNames.load(str(file))
    named.check(*model.cluster_identity())
    assert named.names == names and named.classes[0].clusters == (0, 1) and named.classes[4].color == (10, 11, 12)
    named.save(str(file) + '.again')
    assert open(str(file) + '.again', encoding='utf-8').read() == file.read_text(encoding='utf-8')

    again = path.with_name('again.html')
    make_gallery(*arguments[:3], str(again), clusters=str(file))
    file.unlink()
    shown = Page(browser, again)
    assert shown.names() == names and len(shown.all('.card')) == 5 and not shown.all('#name-after-labels')
    check_console(browser)


def test_keyboard_filter_and_sorting(page):
    body = page.one('body')
    body.send_keys('/')
    page.run('return document.activeElement').send_keys('cluster 3')
    assert page.texts('#shown') == ['1 of 6'] and len([card for card in page.all('.card') if card.is_displayed()]) == 1
    page.one('#filter').clear()
    page.one('#filter').send_keys('x\ue003')  # Backspace
    page.one('[data-sort=share]').click()
    shares = [cluster['share'] for cluster in page.data['clusters']]
    assert page.texts('#table .ids') == [str(k) for k in sorted(range(K), key=lambda k: -shares[k])]
    page.one('[data-sort=share]').click()
    assert page.texts('#table .ids') == [str(k) for k in sorted(range(K), key=lambda k: shares[k])]
    page.one('[data-sort=id]').click()
    page.select(0, 5)
    page.one('#selection').click()
    page.one('body').send_keys('m')
    assert page.texts('#table .ids')[0] == '0, 5'
    page.one('body').send_keys('\ue009z')  # Control
    assert len(page.names()) == K
    page.all('#table .name')[0].send_keys('\ue015')  # arrow down
    assert page.run('return document.activeElement.value') == 'cluster 1'
    check_console(page.browser)


def test_dark_and_light(page):
    def is_dark() -> bool:
        color = page.run('return getComputedStyle(document.body).backgroundColor')
        return sum(map(int, color[4:-1].split(','))) < 150

    page.run('localStorage.clear()')
    page.browser.execute_cdp_cmd('Emulation.setEmulatedMedia',
                                 dict(features=[dict(name='prefers-color-scheme', value='dark')]))
    assert is_dark()
    page.browser.execute_cdp_cmd('Emulation.setEmulatedMedia',
                                 dict(features=[dict(name='prefers-color-scheme', value='light')]))
    assert not is_dark()
    page.one('#theme').click()
    assert is_dark() and page.one('#theme').text == 'Light'
    page.browser.refresh()
    assert is_dark()
    page.run('localStorage.clear()')
    check_console(page.browser)


@pytest.mark.slow
def test_three_hundred_clusters_load_as_they_are_needed(browser, tmp_path):
    write_data(tmp_path)
    cfg = small_config()
    checkpoint, _ = write_checkpoint(cfg, tmp_path / 'model.pth', 300)
    make_gallery(cfg, checkpoint, str(tmp_path / 'images'), str(tmp_path / 'page.html'), str(tmp_path / 'labels'))
    page = Page(browser, tmp_path / 'page.html')
    assert len(page.all('#table tbody tr')) == len(page.all('.card')) == 300
    time.sleep(0.5)
    assert len(page.all('#cards img')) > 2 * len(page.all('#cards img[src]'))
    assert page.run(BLANK_PICTURES, 'img[src]') == 0
    picture = page.data['images'][page.data['samples'][0]]
    ids, drawn = ids_of(picture, '<u2'), page.canvas('#samples .picture', 0)
    palette = np.array([c['color'] for c in page.data['names']['classes']])
    assert ids.max() > 255
    assert np.abs(drawn[..., :3].astype(int) - palette[ids])[inner(ids)].max() <= 2
    check_console(browser)
