"""A folder of all that real folders hold: which files are used, as what, and what becomes of the others."""
import io
import os
import os.path as osp
import re

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmseg_unsup.datasets import ViewDataset
from mmseg_unsup.datasets.errors import UnreadableImageError
from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.datasets.transforms import LoadImage
from ..conftest import ROOT, run_tool, shared_file, smooth_image
from ..test_engine.tiny import tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')

PICTURE = smooth_image(np.random.default_rng(0), 60, 80)  # BGR
RGB = Image.fromarray(PICTURE[..., ::-1])
END_OF_JPEG = b'\xff\xd9'
TURNED_RIGHT = 6  # the EXIF orientation

# file -> why it cannot be used
BAD = {
    'broken link.jpg': r'cannot be opened \(No such file or directory\)',
    os.fsdecode(b'caf\xe9.jpg'): r'empty \(0 bytes\)',  # Latin-1, no UTF-8
    'cut.jpg': 'cut off',
    'cut.png': 'cut off',
    'cut and closed.jpg': 'cut off: its data end before the picture',
    'cut photograph.jpg': 'cut off',
    'cut.bmp': 'no image that can be decoded',
    'cut.tif': 'no image that can be decoded',
    'cut.webp': 'no image that can be decoded',
    'one pixel.png': 'has 1x1 pixels',
    'strip.png': 'has 20000x10 pixels',
    'text.jpg': 'no image that can be decoded',
    'zero.jpg': r'empty \(0 bytes\)',
}
GOOD = ['16 bit.png', '16 bit grey.png', 'cmyk.jpg', 'folder.jpg/inside.png', 'jpeg.PNG', 'linked.jpg', 'palette.png',
        'png.jpg', 'rgba.png', 'turned.jpg', 'Übung 図.jpg']


def encoded(kind: str, **kwargs) -> bytes:
    file = io.BytesIO()
    RGB.save(file, kind, **kwargs)
    return file.getvalue()


def jpeg(**kwargs) -> bytes:
    return encoded('JPEG', quality=95, **kwargs)


def photograph() -> bytes:
    """A JPEG whose header holds a small JPEG, as those of cameras do."""
    small = b'Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0' + cv2.imencode('.jpg', PICTURE[:16, :16])[1].tobytes()
    content = jpeg()
    return content[:2] + b'\xff\xff\xe1' + (len(small) + 2).to_bytes(2, 'big') + small + content[2:]


@pytest.fixture
def zoo(tmp_path):
    """The folder; what its links lead to is elsewhere."""
    folder = tmp_path / 'zoo'
    (folder / 'folder.jpg').mkdir(parents=True)
    (folder / 'empty folder.jpg').mkdir()
    png = cv2.imencode('.png', PICTURE)[1].tobytes()
    turned = Image.Exif()
    turned[0x0112] = TURNED_RIGHT
    deep = PICTURE.astype(np.uint16) * 256 + 77
    palette = RGB.convert('P', palette=Image.ADAPTIVE)
    palette.info['transparency'] = bytes(range(0, 256, 2)) * 2
    palette.save(folder / 'palette.png')
    RGB.convert('CMYK').save(folder / 'cmyk.jpg', quality=95)
    rgba = np.dstack([PICTURE, np.arange(4800, dtype=np.uint16).astype(np.uint8).reshape(60, 80)])
    contents = {
        '16 bit.png': cv2.imencode('.png', deep)[1].tobytes(),
        '16 bit grey.png': cv2.imencode('.png', deep[..., 0])[1].tobytes(),
        'folder.jpg/inside.png': png,
        'jpeg.PNG': jpeg(),
        'png.jpg': png,
        'rgba.png': cv2.imencode('.png', rgba)[1].tobytes(),
        'turned.jpg': jpeg(exif=turned),
        'Übung 図.jpg': photograph(),
        '../elsewhere.jpg': jpeg(),
        os.fsdecode(b'caf\xe9.jpg'): b'',
        'cut.jpg': jpeg()[:-200],
        'cut and closed.jpg': jpeg()[:-200] + END_OF_JPEG,
        'cut.png': png[:len(png) // 2],
        'cut photograph.jpg': photograph()[:-200],
        'cut.bmp': encoded('BMP')[:-200],
        'cut.tif': encoded('TIFF')[:-200],
        'cut.webp': encoded('WEBP')[:-200],
        'one pixel.png': cv2.imencode('.png', PICTURE[:1, :1])[1].tobytes(),
        'strip.png': cv2.imencode('.png', cv2.resize(PICTURE, (20000, 10)))[1].tobytes(),
        'text.jpg': b'not an image, but a sentence about one',
        'zero.jpg': b'',
        'readme.txt': b'no image, and no suffix of one'
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / 'broken link.jpg').symlink_to(tmp_path / 'nowhere.jpg')
    (folder / 'linked.jpg').symlink_to(tmp_path / 'elsewhere.jpg')
    (folder / 'endless').symlink_to(folder, target_is_directory=True)
    return str(folder)


def test_each_file_is_found_once(zoo):
    assert [osp.relpath(path, zoo) for path in find_images(zoo)] == sorted([*BAD, *GOOD])


def test_links_may_hold_each_other(tmp_path):
    """Two folders with a link to the other: every image under both names, and no further."""
    for name, other in ('ab', 'ba'):
        (tmp_path / name).mkdir()
        (tmp_path / name / f'{name}.jpg').write_bytes(b'')
        (tmp_path / name / 'link').symlink_to(tmp_path / other, target_is_directory=True)
    assert [osp.relpath(path, tmp_path) for path in find_images(str(tmp_path))] == [
        'a/a.jpg', 'a/link/b.jpg', 'b/b.jpg', 'b/link/a.jpg']


@pytest.mark.parametrize('name', GOOD)
def test_odd_files_decode_as_pillow_decodes_them(zoo, name):
    image = ImageOps.exif_transpose(Image.open(osp.join(zoo, name)))
    if image.mode.startswith('I'):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    # the two round the product of ink and black differently, and cv2 upsamples the colour of a JPEG in its own way
    tolerance = dict(cmyk=3).get(name.split('.')[0], 2 if image.format == 'JPEG' else 0)
    if image.mode == 'RGBA' or 'transparency' in image.info:
        image = image.convert('RGBA')  # transparency is dropped, colours below it stay
    expected = np.asarray(image.convert('RGB'))[..., ::-1] if image.mode != 'RGBA' else np.asarray(image)[..., 2::-1]
    loaded = LoadImage().transform(dict(img_path=osp.join(zoo, name)))
    assert loaded['img'].shape == expected.shape == ((80, 60, 3) if name == 'turned.jpg' else (60, 80, 3))
    np.testing.assert_allclose(loaded['img'].astype(int), expected, atol=tolerance)
    assert loaded['ori_shape'] == expected.shape[:2]


def test_a_strip_is_used_where_its_size_is_allowed(zoo):
    loaded = LoadImage(min_size=10).transform(dict(img_path=osp.join(zoo, 'strip.png')))
    np.testing.assert_array_equal(loaded['img'], cv2.resize(PICTURE, (20000, 10)))


def views(root, **kwargs) -> ViewDataset:
    return ViewDataset(dict(type='mmseg_unsup.UnlabelledFolder', data_root=root), [
        dict(type='mmseg_unsup.LoadImage', reduce_to=20), dict(type='mmseg_unsup.CenterSquareCrop', size=16),
        dict(type='mmseg_unsup.MakeViews'), dict(type='mmseg_unsup.PackViews')], **kwargs)


def test_each_bad_file_is_named_with_its_reason(zoo):
    dataset = views(zoo)
    names = [osp.relpath(info['img_path'], zoo) for info in map(dataset.dataset.get_data_info, range(len(dataset)))]
    for idx, name in enumerate(names):
        if name in BAD:
            shown = name.encode('utf-8', 'backslashreplace').decode()
            with pytest.raises(ValueError, match=BAD[name]) as error:
                dataset[idx]
            assert f'cannot use the image {osp.join(zoo, shown)}: ' in str(error.value)
        else:
            assert dataset[idx]['data_samples'].img_path == osp.join(zoo, name)


def test_a_run_stops_at_the_first_bad_file_that_it_reads(zoo, tmp_path):
    runner = tiny_runner(zoo, tmp_path / 'run')
    order = list(runner.train_dataloader.sampler)
    names = [runner.train_dataloader.dataset.dataset.get_data_info(idx)['img_path'] for idx in order]
    first = next(name for name in names if osp.relpath(name, zoo) in BAD)
    with pytest.raises(ValueError, match='cannot use the image') as error:
        runner.train()
    assert first in str(error.value)


def test_a_run_that_skips_bad_files_finishes(zoo, tmp_path):
    """Training, clustering, fresh k-means and the maps of the evaluation; the list and the count of both passes."""
    runner = tiny_runner(zoo, tmp_path / 'run', on_error='skip')
    runner.train()
    listed = (tmp_path / 'run' / 'unreadable_images.txt').read_bytes().splitlines()
    assert listed == sorted(os.fsencode(osp.join(zoo, name)) for name in BAD)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    count, example = f'{len(BAD)} of {len(BAD) + len(GOOD)} images could not be read', osp.join(zoo, sorted(BAD)[0])
    for consequence in ('were replaced by others', 'have no prediction'):
        assert f'{count} and {consequence}, for example {example}; ' in log
    assert runner.iter == 6 and (tmp_path / 'run' / 'epoch_1.pth').exists()
    maps = str(tmp_path / 'run' / 'maps')
    assert [osp.relpath(path, maps) for path in find_images(maps)] == sorted(
        name if name.endswith('.png') else f'{name}.png' for name in GOOD)


def test_the_tool_lists_what_a_run_would_skip(zoo, tmp_path):
    done = run_tool('check_data.py', f'{ROOT}/configs/picie/picie_fpn_folder.py', '--out', tmp_path / 'list.txt',
                    '--cfg-options', f'data_root={zoo}', check=False)
    assert done.returncode == 1, done.stdout[-3000:]
    lines = (tmp_path / 'list.txt').read_text().splitlines()
    assert len(lines) == len(BAD)
    for name, line in zip(sorted(BAD), lines):
        shown = osp.join(zoo, name).encode('utf-8', 'backslashreplace').decode()
        assert line.startswith(f'image, train_dataloader: cannot use the image {shown}: ')
    assert re.fullmatch(rf'{len(BAD) + len(GOOD)} images checked in [\d.]+ s: {len(BAD)} of kind image',
                        done.stdout.splitlines()[-1])


def damaged(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A JPEG with a fault somewhere in the data of its picture."""
    start = content.find(b'\xff\xda') + 14
    at = int(rng.integers(start, len(content) - 300))
    rest = content[at + 256:]
    rests = dict(cut=END_OF_JPEG, zeros=bytes(256) + rest, removed=rest, noise=rng.bytes(256) + rest)
    return content[:at] + rests[kind]


# of 40 files, those that must be found by a run, and by tools/check_data.py
@pytest.mark.parametrize('kind, by_run, by_tool', [
    ('cut', 38, 39), ('removed', 30, 36), ('zeros', 0, 36), ('noise', 0, 36)])
@pytest.mark.parametrize('turned', [None, TURNED_RIGHT])
def test_damaged_jpegs_are_found(tmp_path, kind, by_run, by_tool, turned):
    rng, path, found = np.random.default_rng(0), str(tmp_path / 'x.jpg'), [0, 0]
    exif = Image.Exif()
    if turned:
        exif[0x0112] = turned
    file = io.BytesIO()
    noisy = np.clip(smooth_image(rng, 120, 160).astype(int) + rng.integers(-20, 20, (120, 160, 3)), 0, 255)
    Image.fromarray(noisy.astype(np.uint8)).save(file, 'JPEG', exif=exif)
    for _ in range(40):
        with open(path, 'wb') as damaged_file:
            damaged_file.write(damaged(file.getvalue(), kind, rng))
        for i, strict in enumerate((False, True)):
            try:
                LoadImage(strict=strict).transform(dict(img_path=path))
            except UnreadableImageError:
                found[i] += 1
    assert found[0] >= by_run and found[1] >= by_tool, found


def test_whole_jpegs_are_not_refused(tmp_path):
    """Nor those with a corner of the grey that stands for missing data."""
    path = str(tmp_path / 'x.jpg')
    grey = PICTURE.copy()
    grey[40:, 50:] = 128
    for image, settings in ((grey, {}), (np.full_like(PICTURE, 128), {}), (grey, dict(progressive=True)),
                            (PICTURE, dict(subsampling=0)), (PICTURE, dict(quality=1)), (PICTURE, dict(optimize=True))):
        Image.fromarray(image).save(path, 'JPEG', **settings)
        LoadImage(strict=True).transform(dict(img_path=path))
    for mode in ('L', 'CMYK'):
        Image.fromarray(grey).convert(mode).save(path, 'JPEG')
        LoadImage(strict=True).transform(dict(img_path=path))


@pytest.mark.parametrize('name', ['camvid', 'msrc_v2', 'ecssd'])
def test_real_jpegs_are_not_refused(name):
    paths = find_images(shared_file('data', name, 'images'))[::10]
    for path in paths:
        LoadImage(strict=True).transform(dict(img_path=path))
    assert len(paths) >= 15
