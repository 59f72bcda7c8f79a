"""Label maps beside images in any two folders."""
import cv2
import numpy as np
import pytest

from mmseg_unsup.analysis.subsets import list_names
from mmseg_unsup.datasets import LabelledFolder
from mmseg_unsup.datasets.errors import LabelError
from mmseg_unsup.datasets.label_folder import LabelFolder

CAMVID = dict(type='mmseg_unsup.CamVidDataset', data_root='nowhere', data_prefix=dict(img_path='x', seg_map_path='y'))


def write_labels(folder, names, value: int = 2, shape: tuple = (4, 6)):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full(shape, value, np.uint8))


def images(folder, *names) -> tuple:
    return [str(folder / 'images' / name) for name in names], str(folder / 'images'), str(folder / 'labels')


def test_label_maps_have_the_places_of_their_images(tmp_path):
    write_labels(tmp_path / 'labels', ['a.png', 'more/b.png'])
    arguments = images(tmp_path, 'a.jpg', 'more/b.JPEG')
    labels = LabelFolder(CAMVID, *arguments)
    assert labels.classes[2] == 'pole' and labels.palette[2].tolist() == [192, 192, 128] and labels.ignore_index == 255
    assert (labels.read(arguments[0][1], (4, 6)) == 2).all()
    with pytest.raises(LabelError, match=r'a.png has size \(6, 4\), but its image .*a.jpg has \(8, 8\)'):
        labels.read(arguments[0][0], (8, 8))


def test_suffixes_and_values_are_the_data_sets(tmp_path):
    write_labels(tmp_path / 'labels', ['ulm/x_gtFine_labelIds.png'], value=7)
    arguments = images(tmp_path, 'ulm/x_leftImg8bit.png')
    dataset = dict(type='mmseg_unsup.Cityscapes27Dataset', data_root='nowhere')
    assert (LabelFolder(dataset, *arguments).read(arguments[0][0], (4, 6)) == 0).all()  # road
    dropped = LabelFolder(dict(dataset, drop_classes=['road']), *arguments)
    assert (dropped.read(arguments[0][0], (4, 6)) == 255).all()


def test_names_of_classes_without_a_labelled_data_set(tmp_path):
    write_labels(tmp_path / 'labels', ['a.png'])
    arguments = images(tmp_path, 'a.jpg')
    folder = dict(type='mmseg_unsup.UnlabelledFolder', data_root='nowhere')
    labels = LabelFolder(folder, *arguments, classes=['x', 'y', 'z'])
    assert labels.classes == ['x', 'y', 'z'] and (labels.read(arguments[0][0], (4, 6)) == 2).all()
    with pytest.raises(LabelError, match=r'holds the value\(s\) \[2\], which the data set does not define'):
        LabelFolder(folder, *arguments, classes=['x', 'y']).read(arguments[0][0], (4, 6))
    with pytest.raises(ValueError, match='test data set of the config, mmseg_unsup.UnlabelledFolder, has no classes'):
        LabelFolder(folder, *arguments)


def test_missing_label_maps_are_named(tmp_path):
    write_labels(tmp_path / 'labels', ['a.png'])
    with pytest.raises(FileNotFoundError, match=r'1 of 2 images have no label map, such as .*b.jpg, whose .*b.png '):
        LabelFolder(CAMVID, *images(tmp_path, 'a.jpg', 'b.jpg'))
    with pytest.raises(FileNotFoundError, match="'.*none' does not exist: give the folder of label maps"):
        LabelFolder(CAMVID, [], str(tmp_path), str(tmp_path / 'none'))


def test_labelled_images_of_any_folder(tmp_path):
    """Those that have a label map, or of these the ones of a list."""
    write_labels(tmp_path / 'images', ['a.jpg', 'more/b.PNG', 'more/c.webp'], shape=(20, 30))
    write_labels(tmp_path / 'labels', ['a.png', 'more/b.png', 'other.png'], 1, (20, 30))
    settings = dict(data_root=str(tmp_path / 'images'), labels=str(tmp_path / 'labels'), lazy_init=False,
                    metainfo=dict(classes=['x', 'y']), pipeline=[dict(type='mmseg_unsup.LoadImage'),
                                                                 dict(type='mmseg_unsup.LoadLabels')])
    dataset = LabelledFolder(**settings)
    assert [dataset.name_of(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))] == ['a', 'more/b']
    assert all((dataset[i]['gt_seg_map'] == 1).all() for i in range(2))
    named = {**settings, 'type': 'mmseg_unsup.LabelledFolder'}
    assert list_names({key: value for key, value in named.items() if key != 'pipeline'}) == ['a', 'more/b']
    (tmp_path / 'list.txt').write_text('more/b\n')
    chosen = LabelledFolder(**settings, ann_file=str(tmp_path / 'list.txt'))
    assert [chosen.get_data_info(i)['img_path'] for i in range(len(chosen))] == [str(tmp_path / 'images/more/b.PNG')]
    (tmp_path / 'list.txt').write_text('more/c\n')
    with pytest.raises(ValueError, match='list .*list.txt.* names more/c, but .*/images has no such image with a'):
        LabelledFolder(**settings, ann_file=str(tmp_path / 'list.txt'))
    with pytest.raises(FileNotFoundError, match='the list .*none.txt.* does not exist: set ann_file, or leave it'):
        LabelledFolder(**settings, ann_file='none.txt')
    with pytest.raises(FileNotFoundError, match='nowhere.* does not exist: give the folder of label maps .*labels='):
        LabelledFolder(**{**settings, 'labels': str(tmp_path / 'nowhere')})
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image of .*/images has a label map in .*/empty: .* first one .*/a.png'):
        LabelledFolder(**{**settings, 'labels': str(tmp_path / 'empty')})
    for classes in ('sky', ['sky'], ['sky', 'sky'], None):
        with pytest.raises(ValueError, match='are not two or more different names: name those of all values'):
            LabelledFolder(**{**settings, 'metainfo': dict(classes=classes)})
